/** `daybook serve`: the server, until it is told to stop. */

import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import { isDaybookError, reasonOf } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { nodeFiles } from '../base/node-files.ts'
import { systemRandom } from '../base/random.ts'
import { readServerConfig, type ServerConfig } from '../server/config.ts'
import { serve, type Serving } from '../server/serve.ts'
import { environmentNames, environmentOverrides, laidOver, readConfigFile } from './config-file.ts'
import type { CommandContext } from './context.ts'
import { type ExitCode, exitCodes, exitCodesHelp } from './exit-codes.ts'
import { integer } from './flags.ts'
import { counted } from './quantities.ts'
import { checkLines } from './serve-check.ts'
import { greeting } from './serve-greeting.ts'
import { printable, type Terminal } from './terminal.ts'

interface ServeFlags {
  readonly config?: string
  readonly directory?: string
  readonly store?: string
  readonly redisHost?: string
  readonly redisPort?: number
  readonly httpHost?: string
  readonly httpPort?: number
  readonly redis: boolean
  readonly http: boolean
  readonly check?: true
}

export function serveCommand(
  context: CommandContext,
  finish: (exitCode: ExitCode) => void,
): Command {
  const port = integer(0, 65_535)
  return new Command('serve')
    .summary('run the server: any Redis client writes, the rows land in your database')
    .description(
      'Serves the Redis protocol, and over HTTP the metrics, the admin API and the dashboard. Without any configuration ' +
        'it keeps its data in ./daybook-data, in SQLite, and listens on this machine only.',
    )
    .option('--config <file>', 'daybook.config.json, or a .js or .ts module that exports `config`')
    .option('--directory <path>', 'journal and dead letters (default: ./daybook-data)')
    .option('--store <url>', 'sqlite:path or postgres://… (default: SQLite in the directory)')
    .option('--redis-host <host>', 'address for clients of Redis (default: 127.0.0.1)')
    .option('--redis-port <port>', 'their port (default: 6380)', port)
    .option('--no-redis', 'do not listen for clients of Redis')
    .option(
      '--http-host <host>',
      'address for the dashboard, the API and the metrics (default: 127.0.0.1)',
    )
    .option('--http-port <port>', 'their port (default: 6381)', port)
    .option('--no-http', 'no dashboard, API and metrics')
    .option('--check', 'look at the configuration and the database, say what maps where, and end')
    .addHelpText(
      'after',
      `
Flags go over environment variables, and those over the file. The variables:
  ${environmentNames.map(([name, path]) => `${name.padEnd(26)}${path}`).join('\n  ')}

SIGTERM and Ctrl-C drain within drainTimeoutMs and leave the rest in the journal; before it serves they end it at once.
SIGHUP reads the configuration again and takes over what can change.

Examples:
  daybook serve
  daybook serve --store postgres://localhost/shop --config daybook.config.json
  daybook serve --config daybook.config.json --check
${exitCodesHelp}`,
    )
    .action(async (flags: ServeFlags) => {
      finish(await run(flags, context))
    })
}

async function run(flags: ServeFlags, context: CommandContext): Promise<ExitCode> {
  const { terminal, signal } = context
  const config = await configOf(flags, context)
  const ports = { clock: systemClock, random: systemRandom, files: nodeFiles }
  if (flags.check === true) {
    for (const line of await checkLines(config, ports, terminal)) terminal.line(line)
    return exitCodes.ok
  }
  terminal.outlivesReader = true
  const opening = serve(config, { ...ports, logger: loggerTo(terminal), signal })
  // One after the other, and not before it serves: until then the signal would end the process.
  let reloading = Promise.resolve()
  const reload = (): void => {
    reloading = reloading.then(() => reloaded(flags, context, opening))
  }
  process.on('SIGHUP', reload)
  try {
    const serving = await opening
    for (const line of greeting(config, serving, terminal)) terminal.line(line)
    await aborted(signal)
    terminal.line('Draining …')
    const { pending } = await serving.close()
    terminal.line(
      pending === 0
        ? 'Everything is in the database.'
        : `${counted(pending, 'mutation')} stay in the journal; the next start flushes them.`,
    )
  } catch (error) {
    if (!signal.aborted || !isDaybookError(error, 'ABORTED')) throw error
    terminal.line('Stopped before it served. What is pending stays in the journal.')
  } finally {
    process.off('SIGHUP', reload)
  }
  return exitCodes.ok
}

async function configOf(flags: ServeFlags, { environment }: CommandContext): Promise<ServerConfig> {
  const file = flags.config === undefined ? {} : await readConfigFile(flags.config)
  return readServerConfig(
    laidOver(file, [
      ...environmentOverrides(environment),
      ['directory', flags.directory],
      ['store', flags.store],
      ['redis.host', flags.redisHost],
      ['redis.port', flags.redisPort],
      ['redis.enabled', flags.redis ? undefined : false],
      ['http.host', flags.httpHost],
      ['http.port', flags.httpPort],
      ['http.enabled', flags.http ? undefined : false],
    ]),
  )
}

/** Never rejects: what is wrong is said, and nothing has changed then. */
async function reloaded(
  flags: ServeFlags,
  context: CommandContext,
  opening: Promise<Serving>,
): Promise<void> {
  const { terminal } = context
  try {
    const serving = await opening
    const { takenOver, needRestart } = await serving.reload(await configOf(flags, context))
    const taken =
      takenOver.length === 0 ? 'nothing to take over' : `now in force: ${takenOver.join(', ')}`
    terminal.line(`The configuration was read again; ${printable(taken)}.`)
    if (needRestart.length > 0) {
      terminal.line(`Only after a restart: ${printable(needRestart.join(', '))}.`)
    }
  } catch (error) {
    terminal.error(`The configuration was not taken over: ${printable(reasonOf(error))}`)
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  // What is awaited is no timer and no socket of ours: something must keep the process alive.
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** One line for each message, with the time that a service manager would give it anyway. */
function loggerTo(terminal: Terminal): Logger {
  const line =
    (level: string) =>
    (fields: object, message: string): void =>
      terminal.error(`${level} ${message} ${printable(JSON.stringify(fields))}`)
  return { debug: () => undefined, info: line('info'), warn: line('warn'), error: line('error') }
}
