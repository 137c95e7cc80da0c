/** What this process takes of the machine, as the kernel counts it. */

/** The most there has ever been, in MB of 10^6 bytes. The kernel keeps it: nothing is missed between samples. */
export function peakMegabytes(): number {
  return (process.resourceUsage().maxRSS * 1024) / 1e6
}

export function residentMegabytes(): number {
  return process.memoryUsage.rss() / 1e6
}

/** Of all threads. */
export function processorSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
