"""redis-py against a server on 127.0.0.1, whose port is the argument. Exits with 0 only where everything holds."""

import sys
import threading

import redis


def check(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: {found!r} instead of {expected!r}")


def strings(client):
    check("SET", client.set("py:greeting", "Zoë", ex=100), True)
    check("GET", client.get("py:greeting"), "Zoë")
    check("SET NX of what is there", client.set("py:greeting", "x", nx=True), None)
    check("INCRBY", client.incrby("py:n", 41), 41)
    check("INCR", client.incr("py:n"), 42)
    check("INCRBYFLOAT", client.incrbyfloat("py:n", 0.5), 42.5)
    check("MSET", client.mset({"py:a": 1, "py:b": 2}), True)
    check("MGET", client.mget(["py:a", "py:b", "py:none"]), ["1", "2", None])


def binary(port):
    client = redis.Redis(host="127.0.0.1", port=port)
    every = bytes(range(256))
    check("SET of bytes", client.set("py:bytes", every), True)
    check("GET of bytes", client.get("py:bytes"), every)
    client.close()


def hashes(client):
    check("HSET", client.hset("users:1", mapping={"name": "Ada", "visits": 3}), 2)
    check("HINCRBY", client.hincrby("users:1", "visits", 4), 7)
    check("HGETALL", client.hgetall("users:1"), {"name": "Ada", "visits": "7"})
    check("HMGET", client.hmget("users:1", ["name", "none"]), ["Ada", None])
    check("HSET of a document", client.hset("py:hash", mapping={"a": "1", "b": "2"}), 2)
    check("HDEL", client.hdel("py:hash", "a"), 1)
    check("HSCAN", dict(client.hscan_iter("py:hash")), {"b": "2"})


def expiry(client):
    check("EXPIRE", client.expire("py:a", 100), True)
    check("TTL", 90 < client.ttl("py:a") <= 100, True)
    check("PERSIST", client.persist("py:a"), True)
    check("TTL of what stays", client.ttl("py:a"), -1)
    check("PEXPIRE in the past", client.pexpire("py:b", -1), True)
    check("EXISTS", client.exists("py:a", "py:b"), 1)


def pipelines(client):
    pipeline = client.pipeline(transaction=False)
    for n in range(1000):
        pipeline.set(f"py:p:{n}", n)
    check("a pipeline", pipeline.execute(), [True] * 1000)
    pipeline.get("py:p:1").lpush("py:a", "x").get("py:p:2")
    replies = pipeline.execute(raise_on_error=False)
    check("a pipeline with an error", [replies[0], replies[2]], ["1", "2"])
    check("the error", isinstance(replies[1], redis.ResponseError), True)


def transactions(client, other):
    with client.pipeline() as pipeline:
        pipeline.watch("py:sum")
        before = int(pipeline.get("py:sum") or 0)
        pipeline.multi()
        pipeline.set("py:sum", before + 1)
        pipeline.incr("py:sum")
        check("EXEC", pipeline.execute(), [True, 2])
    with client.pipeline() as pipeline:
        pipeline.watch("py:sum")
        other.set("py:sum", "changed")
        pipeline.multi()
        pipeline.set("py:sum", "lost")
        try:
            pipeline.execute()
            sys.exit("EXEC did not notice the change")
        except redis.WatchError:
            pass
    check("the watched key", client.get("py:sum"), "changed")


def scans(client):
    seen = set(client.scan_iter(match="py:p:*", count=100))
    check("SCAN", seen, {f"py:p:{n}" for n in range(1000)})
    check("SADD", client.sadd("py:set", "a", "b"), 2)
    check("SMEMBERS", set(client.smembers("py:set")), {"a", "b"})


def sorted_sets(client):
    check("ZADD", client.zadd("py:board", {"ada": 12.5, "bob": 3, "eve": float("inf")}), 3)
    check("ZADD GT", client.zadd("py:board", {"bob": 1}, gt=True, ch=True), 0)
    check("ZINCRBY", client.zincrby("py:board", 0.25, "bob"), 3.25)
    check("ZSCORE", client.zscore("py:board", "eve"), float("inf"))
    check("ZREVRANK", client.zrevrank("py:board", "ada"), 1)
    found = client.zrange("py:board", 0, 1, withscores=True)
    check("ZRANGE", [(member, score) for member, score in found], [("bob", 3.25), ("ada", 12.5)])
    check("ZRANGEBYSCORE", client.zrangebyscore("py:board", "(3.25", 20), ["ada"])
    check("ZUNIONSTORE", client.zunionstore("py:both", {"py:board": 2, "py:set": 1}), 5)
    check("ZSCAN", dict(client.zscan_iter("py:both"))["bob"], 6.5)
    check("ZREMRANGEBYRANK", client.zremrangebyrank("py:both", 0, -2), 4)
    member = client.bzpopmax("py:board", timeout=1)
    check("BZPOPMAX", list(member), ["py:board", "eve", float("inf")])


def channels(client):
    listener = client.pubsub(ignore_subscribe_messages=True)
    heard = []
    ready = threading.Event()

    def listen():
        for message in listener.listen():
            heard.append((message["type"], message["channel"], message["data"]))
            return

    listener.subscribe("py:news")
    # Published again until it is heard: when the subscription has arrived only the server knows.
    thread = threading.Thread(target=listen)
    thread.start()
    for _ in range(100):
        client.publish("py:news", "hello")
        thread.join(0.1)
        if not thread.is_alive():
            break
    check("a message", heard[:1], [("message", "py:news", "hello")])
    listener.close()


def errors(client):
    for what, command, expected in [
        ("the wrong type", ("LPUSH", "py:a", "x"), "wrong kind of value"),
        ("no number", ("INCR", "py:sum"), "not an integer"),
        ("an unknown command", ("NOPE",), "unknown command"),
        ("too few arguments", ("GET",), "wrong number of arguments"),
        ("an unknown column", ("HSET", "users:1", "nope", "1"), "nope"),
        ("a script that fails", ("EVAL", "return nowhere", 0), "nonexistent global variable"),
    ]:
        try:
            client.execute_command(*command)
            sys.exit(f"{what} is no error")
        except redis.ResponseError as error:
            check(what, expected in str(error), True)


def scripts(client, other):
    client.delete("lock", "n")
    mine = client.lock("lock", timeout=100)
    check("acquire", mine.acquire(blocking=False), True)
    theirs = other.lock("lock", timeout=100)
    check("acquire what is locked", theirs.acquire(blocking=False), False)
    check("owned", mine.owned(), True)
    check("extend", mine.extend(100), True)
    check("extended", client.ttl("lock") > 150, True)
    check("reacquire", mine.reacquire(), True)
    mine.release()
    check("released", client.exists("lock"), 0)
    with other.lock("lock", timeout=1):
        check("locked", client.exists("lock"), 1)
    add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    check("script", add(keys=["n"], args=[5]), 5)
    client.script_flush()
    check("script after a flush", add(keys=["n"], args=[2]), 7)
    with client.pipeline() as pipeline:
        add(keys=["n"], args=[1], client=pipeline)
        pipeline.get("n")
        check("script in a transaction", pipeline.execute(), [8, "8"])


def main():
    port = int(sys.argv[1])
    binary(port)
    for protocol in (2, 3):
        connection = {"host": "127.0.0.1", "port": port, "protocol": protocol, "decode_responses": True}
        client, other = redis.Redis(**connection), redis.Redis(**connection)
        client.flushdb()
        client.delete("users:1")
        strings(client)
        hashes(client)
        expiry(client)
        pipelines(client)
        transactions(client, other)
        scans(client)
        sorted_sets(client)
        channels(client)
        scripts(client, other)
        errors(client)
        check("WAIT", client.wait(1, 30_000), 1)
        client.close()
        other.close()
    print(f"redis-py {redis.__version__}: everything holds")


main()
