/** What the files of `redis.tls` hold. */

import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { DaybookError, reasonOf } from '../../../base/errors.ts'
import type { Files } from '../../../base/files.ts'
import type { TlsFiles } from '../options.ts'

/** In PEM form. */
export interface TlsSecrets {
  readonly cert: string
  readonly key: string
  /** Who signs the certificates of clients; undefined: they need none. */
  readonly ca: string | undefined
}

const maxPemBytes = 1024 * 1024

/** undefined: no TLS. Throws INVALID_OPTION, also where a connection could not be made with it. */
export async function readTlsSecrets(
  paths: TlsFiles | undefined,
  files: Files,
): Promise<TlsSecrets | undefined> {
  if (paths === undefined) return undefined
  const secrets = {
    cert: await pem(files, 'cert', paths),
    key: await pem(files, 'key', paths),
    ca: paths.ca === undefined ? undefined : await pem(files, 'ca', paths),
  }
  try {
    createSecureContext(contextOptions(secrets))
  } catch (error) {
    throw new DaybookError(
      'INVALID_OPTION',
      `The files of redis.tls cannot be used: ${reasonOf(error)}.`,
      {
        cause: error,
        details: { path: 'redis.tls' },
        hint: 'Give a certificate and the key that belongs to it, in PEM form.',
      },
    )
  }
  return secrets
}

export function contextOptions({ cert, key, ca }: TlsSecrets): SecureContextOptions {
  return { cert, key, ...(ca === undefined ? {} : { ca }), minVersion: 'TLSv1.2' }
}

async function pem(files: Files, name: 'cert' | 'key' | 'ca', paths: TlsFiles): Promise<string> {
  const path = paths[name]
  const bytes = typeof path === 'string' ? await files.read(path, maxPemBytes) : undefined
  if (bytes !== undefined) return Buffer.from(bytes).toString('latin1')
  throw new DaybookError('INVALID_OPTION', `redis.tls.${name} names no file that can be read.`, {
    details: { path: `redis.tls.${name}`, file: path },
    hint: 'Give the path of a file in PEM form.',
  })
}
