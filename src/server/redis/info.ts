/** INFO: the sections and field names that monitoring tools read, and one section of Daybook's own. */

import type { BookStats } from '../../observe/stats.ts'
import { serverVersion } from './commands/server-version.ts'
import type { Server } from './server.ts'

type Line = readonly [name: string, value: string | number]

const sections: Readonly<Record<string, (server: Server, stats: BookStats) => readonly Line[]>> = {
  server: (server) => [
    ['redis_version', serverVersion],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_mode', 'standalone'],
    ['os', process.platform],
    ['arch_bits', 64],
    ['multiplexing_api', 'libuv'],
    ['process_id', process.pid],
    ['run_id', server.runId],
    ['tcp_port', server.port],
    ['server_time_usec', Math.round(server.clock.wallTime() * 1000)],
    ['uptime_in_seconds', uptimeOf(server)],
    ['uptime_in_days', Math.floor(uptimeOf(server) / 86_400)],
    ['hz', 1],
    ['config_file', ''],
  ],
  clients: (server) => [
    ['connected_clients', server.connections.size],
    ['cluster_connections', 0],
    ['maxclients', server.config.maxClients],
    ['blocked_clients', server.arrivals.count],
    ['tracking_clients', 0],
    ['clients_in_timeout_table', 0],
  ],
  memory: (server, stats) => {
    const { rss, heapUsed, heapTotal } = process.memoryUsage()
    return [
      ['used_memory', heapUsed],
      ['used_memory_human', `${(heapUsed / 1024 / 1024).toFixed(2)}M`],
      ['used_memory_rss', rss],
      ['used_memory_rss_human', `${(rss / 1024 / 1024).toFixed(2)}M`],
      ['used_memory_peak', heapTotal],
      ['used_memory_dataset', stats.cache.bytes],
      ['number_of_cached_scripts', server.scripts.size],
      ['maxmemory', 0],
      ['maxmemory_human', '0B'],
      ['maxmemory_policy', 'noeviction'],
      ['mem_fragmentation_ratio', heapUsed === 0 ? 0 : (rss / heapUsed).toFixed(2)],
    ]
  },
  persistence: (_server, stats) => [
    ['loading', 0],
    ['async_loading', 0],
    ['rdb_changes_since_last_save', stats.pending.mutations],
    ['rdb_bgsave_in_progress', 0],
    ['rdb_last_bgsave_status', 'ok'],
    ['aof_enabled', 1],
    ['aof_rewrite_in_progress', 0],
    ['aof_last_bgrewrite_status', 'ok'],
    ['aof_last_write_status', stats.journal.state === 'open' ? 'ok' : 'err'],
    ['aof_current_size', stats.journal.bytes],
    ['aof_pending_bio_fsync', stats.journal.undurableBytes > 0 ? 1 : 0],
  ],
  stats: (server, stats) => [
    ['total_connections_received', server.stats.connections],
    ['total_commands_processed', server.stats.commands],
    ['instantaneous_ops_per_sec', server.operationsPerSecond],
    ['total_net_input_bytes', server.stats.inputBytes],
    ['total_net_output_bytes', server.stats.outputBytes],
    ['rejected_connections', server.stats.rejectedConnections],
    ['expired_keys', server.events.ended],
    ['evicted_keys', 0],
    ['keyspace_hits', stats.cache.hits],
    ['keyspace_misses', stats.cache.misses],
    ['pubsub_patterns', server.channels.patternCount],
    ['client_output_buffer_limit_disconnections', server.stats.cutOff],
    [
      'total_error_replies',
      [...server.stats.errors.values()].reduce((sum, count) => sum + count, 0),
    ],
  ],
  replication: (server) => [
    ['role', 'master'],
    ['connected_slaves', 0],
    ['master_failover_state', 'no-failover'],
    ['master_replid', server.runId],
    ['master_repl_offset', 0],
    ['second_repl_offset', -1],
    ['repl_backlog_active', 0],
  ],
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return [
      ['used_cpu_sys', (system / 1e6).toFixed(6)],
      ['used_cpu_user', (user / 1e6).toFixed(6)],
    ]
  },
  modules: () => [],
  commandstats: (server) =>
    [...server.commandStats]
      .filter(([, { calls, rejected }]) => calls + rejected > 0)
      .map(([name, { calls, rejected, failed, times }]): Line => [
        `cmdstat_${name}`,
        `calls=${calls},usec=${Math.round(times.us)},usec_per_call=${(times.us / Math.max(1, calls)).toFixed(2)},rejected_calls=${rejected},failed_calls=${failed}`,
      ]),
  errorstats: (server) =>
    [...server.stats.errors].map(([kind, count]): Line => [`errorstat_${kind}`, `count=${count}`]),
  cluster: () => [['cluster_enabled', 0]],
  keyspace: (server) =>
    [...server.keyCounts]
      .filter(([, keys]) => keys > 0)
      .map(([database, keys]): Line => [`db${database}`, `keys=${keys},expires=0,avg_ttl=0`]),
  writebehind: (_server, stats) => [
    ['state', stats.state],
    ['pending_mutations', stats.pending.mutations],
    ['pending_keys', stats.pending.keys],
    ['pending_bytes', stats.pending.bytes],
    ['spilled_mutations', stats.pending.spilledMutations],
    ['lag_ms', Math.round(stats.lagMs)],
    ['drain_estimate_ms', Math.round(stats.drainEstimateMs ?? -1)],
    ['flushed_mutations', stats.coalescing.mutations],
    ['flushed_rows', stats.coalescing.rows],
    ['coalescing_ratio', stats.coalescing.ratio.toFixed(2)],
    ['batches', stats.batches.count],
    ['retries', stats.retries],
    ['breaker', stats.breaker.state],
    ['dead_letters', stats.deadLetters.count],
    ['journal_state', stats.journal.state],
    ['journal_bytes', stats.journal.bytes],
    ['journal_commits', stats.journal.commits],
    ['journal_sync_p99_ms', stats.journal.syncMs.p99.toFixed(3)],
    ['lanes', stats.lanes.length],
    ['lanes_not_idle', stats.lanes.filter(({ state }) => state !== 'idle').length],
  ],
}

const titles: Readonly<Record<string, string>> = { cpu: 'CPU', errorstats: 'Errorstats' }
/** As Redis: these are asked for by name, or by `all` and `everything`. */
const notByDefault = new Set(['commandstats'])

/** The sections that are asked for; none: the default ones. */
export function wantedSections(words: readonly string[]): string[] {
  const given = words.map((word) => word.toLowerCase())
  const names = Object.keys(sections)
  if (given.some((word) => word === 'all' || word === 'everything')) return names
  const byDefault = given.length === 0 || given.includes('default')
  return names.filter((name) => given.includes(name) || (byDefault && !notByDefault.has(name)))
}

export function infoText(server: Server, wanted: readonly string[]): string {
  const stats = server.book.stats()
  return wanted
    .map((name) => {
      const title = titles[name] ?? name.charAt(0).toUpperCase() + name.slice(1)
      const lines = sections[name]?.(server, stats) ?? []
      return `# ${title}\r\n${lines.map(([field, value]) => `${field}:${value}\r\n`).join('')}`
    })
    .join('\r\n')
}

function uptimeOf(server: Server): number {
  return Math.floor((server.clock.now() - server.startedAt) / 1000)
}
