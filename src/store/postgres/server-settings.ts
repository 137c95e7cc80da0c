/** What a server must be for the guarantees to hold, checked at open: an answer that is missing is a refusal. */

import { DaybookError } from '../../base/errors.ts'
import type { Connection } from './connection.ts'

/** Settings whose value the user may vouch for: storage that is durable without them. */
export type VouchedSetting = 'fsync' | 'full_page_writes' | 'synchronous_commit'

const oldestVersion = 120_000

interface SettingRule {
  readonly name: VouchedSetting
  readonly safe: (value: string) => boolean
  readonly danger: string
}

const rules: readonly SettingRule[] = [
  {
    name: 'fsync',
    safe: (value) => value === 'on',
    danger: 'a crash can lose or corrupt committed rows',
  },
  {
    name: 'full_page_writes',
    safe: (value) => value === 'on',
    danger: 'a crash can leave torn pages',
  },
  {
    name: 'synchronous_commit',
    safe: (value) => ['on', 'local', 'remote_write', 'remote_apply'].includes(value),
    danger: 'a crash can take back a commit that was confirmed',
  },
]

/**
 * Throws STORE_UNAVAILABLE for a server that cannot be written now (a standby: fail-over may be under way), and
 * STORE_MISCONFIGURED for one whose commits are not durable, or that is too old.
 */
export async function checkServer(
  connection: Connection,
  vouched: readonly VouchedSetting[],
  signal: AbortSignal,
): Promise<void> {
  const text = `SELECT current_setting('server_version_num'), pg_is_in_recovery(),
    current_setting('transaction_read_only'), ${rules.map((rule) => `current_setting('${rule.name}')`).join(', ')}`
  const [result] = await connection.query(text, signal)
  const [version = '0', inRecovery = 't', readOnly = 'on', ...values] = result?.rows[0] ?? []
  if (Number(version) < oldestVersion) {
    throw new DaybookError(
      'STORE_MISCONFIGURED',
      `PostgreSQL 12 or later is needed; the server has version number ${version}.`,
    )
  }
  if (inRecovery !== 'f' || readOnly !== 'off') {
    throw new DaybookError(
      'STORE_UNAVAILABLE',
      inRecovery === 'f'
        ? 'PostgreSQL accepts no writes: the session is read-only.'
        : 'PostgreSQL accepts no writes: the server is a standby, or recovering.',
      { hint: 'Give the address of the primary, or wait for the fail-over to end.' },
    )
  }
  for (const [index, rule] of rules.entries()) {
    const value = values[index] ?? ''
    if (rule.safe(value) || vouched.includes(rule.name)) continue
    throw new DaybookError(
      'STORE_MISCONFIGURED',
      `PostgreSQL has ${rule.name} = ${value}: ${rule.danger}.`,
      {
        details: { setting: rule.name, value },
        hint: `Set ${rule.name} = on; or, where the storage makes up for it, list it in the option vouchedSettings.`,
      },
    )
  }
}
