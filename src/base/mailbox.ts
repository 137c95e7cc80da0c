/**
 * How calls come to a disk thread, and answers back: a mailbox in shared memory.
 *
 * The thread does the calls in the order in which they were put in, one at a time, and answers them in that order. Who waits
 * is woken by a futex. A write from shared memory, which an acknowledgement waits for, is put down here as numbers. Any other
 * call, and an answer that is more than "done", is a message on a port beside the mailbox, which tells when to take the next
 * one from there. (A round trip by the events of a message port takes 100 µs more, which is as much as a fast disk.)
 *
 *     int32:  0 put   1 answered   2 … 31 unused   32 … a slot of 8 for each call that may be under way
 *
 *     slot:   0 kind      0 take a message, 1 write, 2 write and sync
 *             1 fd
 *             2 kept      which of the buffers that the thread keeps
 *             3 start     in the buffer
 *             4 length
 *             5 high      offset in the file, in units of 2^30
 *             6 low       and the rest of it
 *             7 answer    0 done, 1 take a message
 *
 * `put` and `answered` count calls modulo 2^32. Each is written by one side only, after what it announces.
 */

export type MailboxMemory = Int32Array<SharedArrayBuffer>

/** A write from a buffer that the thread keeps. */
export interface KeptWrite {
  readonly durably: boolean
  readonly fd: number
  readonly kept: number
  readonly start: number
  readonly length: number
  readonly offset: number
}

/** Calls that may be under way at a time: a power of two. */
export const mailboxSlots = 64

const put = 0
const answered = 1
const firstSlot = 32
const slotWords = 8
const offsetUnit = 2 ** 30

const byMessage = 0
const byWrite = 1
const byDurableWrite = 2

export class Mailbox {
  readonly memory: MailboxMemory

  constructor(memory?: MailboxMemory) {
    this.memory =
      memory ?? new Int32Array(new SharedArrayBuffer(4 * (firstSlot + mailboxSlots * slotWords)))
  }

  // ── For the caller, who sees to it that no more than `mailboxSlots` calls are under way ──

  /** A call whose message is on the port already. */
  putMessage(): void {
    this.memory[slotOf(this.memory[put] ?? 0)] = byMessage
    this.#announce(put)
  }

  putWrite({ durably, fd, kept, start, length, offset }: KeptWrite): void {
    const { memory } = this
    const at = slotOf(memory[put] ?? 0)
    memory[at] = durably ? byDurableWrite : byWrite
    memory[at + 1] = fd
    memory[at + 2] = kept
    memory[at + 3] = start
    memory[at + 4] = length
    memory[at + 5] = Math.floor(offset / offsetUnit)
    memory[at + 6] = offset % offsetUnit
    this.#announce(put)
  }

  /** Calls that were answered so far, modulo 2^32. */
  get answered(): number {
    return Atomics.load(this.memory, answered)
  }

  /** Resolves when more than these are answered, or `wakeCaller` was called. */
  async whenAnswered(seen: number): Promise<void> {
    await Atomics.waitAsync(this.memory, answered, seen).value
  }

  /** What it answered with is on the port. */
  isAnsweredByMessage(call: number): boolean {
    return this.memory[slotOf(call) + 7] === 1
  }

  wakeCaller(): void {
    Atomics.notify(this.memory, answered)
  }

  // ── For the thread ──

  /** Blocks until the call with this number is there; undefined: it is a message on the port. */
  take(call: number): KeptWrite | undefined {
    const { memory } = this
    while (Atomics.load(memory, put) === call) Atomics.wait(memory, put, call)
    const at = slotOf(call)
    const kind = memory[at]
    if (kind === byMessage) return undefined
    const word = (index: number): number => memory[at + index] ?? 0
    return {
      durably: kind === byDurableWrite,
      fd: word(1),
      kept: word(2),
      start: word(3),
      length: word(4),
      offset: word(5) * offsetUnit + word(6),
    }
  }

  answer(call: number, byMessage: boolean): void {
    this.memory[slotOf(call) + 7] = byMessage ? 1 : 0
    this.#announce(answered)
  }

  #announce(counter: number): void {
    Atomics.add(this.memory, counter, 1)
    Atomics.notify(this.memory, counter)
  }
}

/** The next number of a call. */
export function nextCall(call: number): number {
  return (call + 1) | 0
}

function slotOf(call: number): number {
  return firstSlot + (call & (mailboxSlots - 1)) * slotWords
}
