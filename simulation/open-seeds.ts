/**
 * Worlds that fail and are not understood yet: every run prints them, and they end no run. What is here is work to be done,
 * in the engine or in the simulation; a new failure is never put here in the change that brings it.
 */

export const openSeeds: ReadonlyMap<number, string> = new Map()
