/** File systems of a process's own: they are mounted in its own namespace, and are gone with it. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

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

/** A small disk that outlives the processes that use it. */
export interface HeldDisk {
  /** The command under which `directory` is this disk. */
  readonly command: readonly string[]
  /** The same directory, for everybody else. */
  readonly path: string
  release(): Promise<void>
}

/** Mounts an empty disk of 4 MiB at `directory`, for those who come by its command. */
export async function holdSmallDisk(directory: string): Promise<HeldDisk> {
  const [executable = '', ...parameters] = onSmallDisk(directory)
  const holder = spawn(executable, [...parameters, 'sh', '-c', 'echo mounted; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const ended = once(holder, 'exit')
  await Promise.race([
    once(holder.stdout, 'data'),
    ended.then(() => Promise.reject(new Error('the disk could not be mounted'))),
  ])
  const pid = String(holder.pid)
  const user = namespace?.includes('--map-root-user') === true ? ['--user'] : []
  return {
    command: ['nsenter', '--target', pid, ...user, '--preserve-credentials', '--mount'],
    path: join('/proc', pid, 'root', directory),
    release: async () => {
      holder.stdin.end()
      await ended
    },
  }
}
