/** File systems of a process's own: they are mounted in its own namespace, and are gone with it. */

import { spawnSync } from 'node:child_process'

/** As root, or in a user namespace where the system lets anyone have one. */
const namespaces = [
  ['unshare', '--mount'],
  ['unshare', '--mount', '--map-root-user'],
]

function shell(namespace: readonly string[], mount: string): string[] {
  return [...namespace, 'sh', '-c', `${mount} && shift && exec "$@"`, 'sh']
}

const mounts = {
  small: 'mount -t tmpfs -o size=4m daybook "$1"',
  readOnly: 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"',
}

function usable(): readonly string[] | undefined {
  return namespaces.find((namespace) => {
    const [executable = '', ...parameters] = shell(namespace, mounts.small)
    return spawnSync(executable, [...parameters, '/mnt', 'true'], { stdio: 'ignore' }).status === 0
  })
}

const namespace = process.platform === 'linux' ? usable() : undefined

/** Why no file system can be mounted here; undefined where it can. */
export const mountsUnavailable =
  namespace === undefined
    ? 'no file system can be mounted here, not even in a namespace'
    : undefined

function withMount(mount: string, directory: string): readonly string[] {
  if (namespace === undefined) throw new Error(mountsUnavailable)
  return [...shell(namespace, mount), directory]
}

/** The command under which `directory` is an empty disk of 4 MiB. */
export function onSmallDisk(directory: string): readonly string[] {
  return withMount(mounts.small, directory)
}

/** The command under which `directory` can be read, and not be changed, by root neither. */
export function onReadOnlyDisk(directory: string): readonly string[] {
  return withMount(mounts.readOnly, directory)
}
