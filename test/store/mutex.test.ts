import { expect, test } from 'vitest'
import { Mutex } from '../../src/store/mutex.ts'

test('hands the lock over in order, one at a time; a second release does nothing', async () => {
  const mutex = new Mutex()
  const order: string[] = []
  const first = await mutex.acquire()
  const hold = async (name: string): Promise<void> => {
    const release = await mutex.acquire()
    order.push(`${name} in`)
    await Promise.resolve()
    order.push(`${name} out`)
    release()
    release()
  }
  const waiting = [hold('a'), hold('b'), hold('c')]
  first()
  first()
  await Promise.all(waiting)
  expect(order).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
  await expect(mutex.acquire()).resolves.toBeTypeOf('function')
})

test('a wait that is aborted gives its place up, and passes nothing on', async () => {
  const mutex = new Mutex()
  const release = await mutex.acquire()
  const aborting = new AbortController()
  const aborted = mutex.acquire(aborting.signal)
  const next = mutex.acquire()
  aborting.abort(new Error('enough'))
  await expect(aborted).rejects.toThrow('enough')
  await expect(mutex.acquire(AbortSignal.abort(new Error('before')))).rejects.toThrow('before')
  release()
  ;(await next)()
  await expect(mutex.acquire()).resolves.toBeTypeOf('function')
})
