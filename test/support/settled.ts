/** Resolves once promises that can settle without timers or I/O have done so. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
