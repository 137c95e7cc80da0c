/**
 * How many entries of a stream belong together: `stream-node-max-entries`. `XTRIM ~` and `XADD … MAXLEN ~` take away whole
 * nodes only. The other bound of Redis, of a node's bytes, is none here: no node is packed.
 */
export interface StreamNodes {
  /** 0: no bound but the server's own. */
  maxEntries: number
}
