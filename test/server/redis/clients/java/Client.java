import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.JedisPubSub;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.RedisProtocol;
import redis.clients.jedis.Transaction;
import redis.clients.jedis.exceptions.JedisDataException;
import redis.clients.jedis.params.ScanParams;
import redis.clients.jedis.params.SetParams;
import redis.clients.jedis.resps.ScanResult;

/** Jedis against a server on 127.0.0.1, whose port is the argument. Exits with 0 only where everything holds. */
public class Client {
  public static void main(String[] arguments) throws Exception {
    HostAndPort address = new HostAndPort("127.0.0.1", Integer.parseInt(arguments[0]));
    for (RedisProtocol protocol : RedisProtocol.values()) {
      if (protocol != RedisProtocol.RESP2 && protocol != RedisProtocol.RESP3) continue;
      DefaultJedisClientConfig config =
          DefaultJedisClientConfig.builder().protocol(protocol).build();
      try (Jedis jedis = new Jedis(address, config);
          Jedis other = new Jedis(address, config)) {
        jedis.flushDB();
        jedis.del("users:3");
        strings(jedis);
        hashes(jedis);
        expiry(jedis);
        pipelines(jedis);
        transactions(jedis, other);
        scans(jedis);
        sortedSets(jedis);
        channels(jedis, other);
        errors(jedis);
        check("WAIT", jedis.waitReplicas(1, 30_000), 1L);
      }
    }
    System.out.println("Jedis: everything holds");
  }

  static void check(String what, Object found, Object expected) {
    if (!Objects.equals(found, expected)) {
      throw new AssertionError(what + ": " + found + " instead of " + expected);
    }
  }

  static void strings(Jedis jedis) {
    check("SET", jedis.set("java:greeting", "Zoë", SetParams.setParams().ex(100)), "OK");
    check("GET", jedis.get("java:greeting"), "Zoë");
    check("GET of nothing", jedis.get("java:none"), null);
    check("INCRBY", jedis.incrBy("java:n", 41), 41L);
    check("MSET", jedis.mset("java:a", "1", "java:b", "2"), "OK");
    check("MGET", jedis.mget("java:a", "java:b", "java:none"), Arrays.asList("1", "2", null));
    byte[] every = new byte[256];
    for (int n = 0; n < 256; n++) every[n] = (byte) n;
    byte[] key = "java:bytes".getBytes(StandardCharsets.UTF_8);
    jedis.set(key, every);
    check("GET of bytes", Arrays.equals(jedis.get(key), every), true);
  }

  static void hashes(Jedis jedis) {
    check("HSET", jedis.hset("users:3", Map.of("name", "Barbara", "visits", "3")), 2L);
    check("HINCRBY", jedis.hincrBy("users:3", "visits", 4), 7L);
    check("HGETALL", jedis.hgetAll("users:3"), Map.of("name", "Barbara", "visits", "7"));
  }

  static void expiry(Jedis jedis) {
    check("EXPIRE", jedis.expire("java:a", 100), 1L);
    long left = jedis.ttl("java:a");
    check("TTL", left > 90 && left <= 100, true);
    check("PERSIST", jedis.persist("java:a"), 1L);
    jedis.pexpireAt("java:b", 1000L);
    check("EXISTS", jedis.exists("java:a", "java:b"), 1L);
  }

  static void pipelines(Jedis jedis) {
    Pipeline pipeline = jedis.pipelined();
    for (int n = 0; n < 1000; n++) pipeline.set("java:p:" + n, Integer.toString(n));
    List<Object> replies = pipeline.syncAndReturnAll();
    check("a pipeline", new HashSet<>(replies), Set.of("OK"));
    check("its length", replies.size(), 1000);
  }

  static void transactions(Jedis jedis, Jedis other) {
    jedis.watch("java:sum");
    Transaction first = jedis.multi();
    first.set("java:sum", "1");
    first.incr("java:sum");
    check("EXEC", first.exec(), List.of("OK", 2L));
    jedis.watch("java:sum");
    other.set("java:sum", "changed");
    Transaction second = jedis.multi();
    second.set("java:sum", "lost");
    check("EXEC of what has changed", second.exec(), null);
    check("the watched key", jedis.get("java:sum"), "changed");
  }

  static void scans(Jedis jedis) {
    Set<String> seen = new HashSet<>();
    String cursor = ScanParams.SCAN_POINTER_START;
    do {
      ScanResult<String> page =
          jedis.scan(cursor, new ScanParams().match("java:p:*").count(100));
      seen.addAll(page.getResult());
      cursor = page.getCursor();
    } while (!cursor.equals(ScanParams.SCAN_POINTER_START));
    check("SCAN", seen.size(), 1000);
  }

  static void sortedSets(Jedis jedis) {
    Map<String, Double> scores = Map.of("ada", 12.5, "bob", 3.0, "eve", Double.POSITIVE_INFINITY);
    check("ZADD", jedis.zadd("java:board", scores), 3L);
    check("ZINCRBY", jedis.zincrby("java:board", 0.25, "bob"), 3.25);
    check("ZSCORE", jedis.zscore("java:board", "eve"), Double.POSITIVE_INFINITY);
    check("ZREVRANK", jedis.zrevrank("java:board", "ada"), 1L);
    check("ZRANGE", jedis.zrange("java:board", 0, -1), List.of("bob", "ada", "eve"));
    check("ZRANGEBYSCORE", jedis.zrangeByScore("java:board", "(3.25", "20"), List.of("ada"));
    check("ZPOPMAX", jedis.zpopmax("java:board").getElement(), "eve");
    check("BZPOPMIN", jedis.bzpopmin(1, "java:board").getValue().getScore(), 3.25);
    check("ZCARD", jedis.zcard("java:board"), 1L);
  }

  static void channels(Jedis jedis, Jedis other) throws Exception {
    CountDownLatch ready = new CountDownLatch(1);
    List<String> heard = new ArrayList<>();
    Thread listener =
        new Thread(
            () ->
                other.subscribe(
                    new JedisPubSub() {
                      @Override
                      public void onSubscribe(String channel, int count) {
                        ready.countDown();
                      }

                      @Override
                      public void onMessage(String channel, String message) {
                        heard.add(channel + " " + message);
                        unsubscribe();
                      }
                    },
                    "java:news"));
    listener.start();
    check("SUBSCRIBE", ready.await(30, TimeUnit.SECONDS), true);
    check("PUBLISH", jedis.publish("java:news", "hello"), 1L);
    listener.join(30_000);
    check("a message", heard, List.of("java:news hello"));
  }

  static void errors(Jedis jedis) {
    failure("the wrong type", "WRONGTYPE", () -> jedis.lpush("java:a", "x"));
    failure("no number", "not an integer", () -> jedis.incr("java:greeting"));
    failure("an unknown column", "nope", () -> jedis.hset("users:3", "nope", "1"));
    check("a script", jedis.eval("return {KEYS[1], #ARGV}", 1, "java:a", "x"), List.of("java:a", 1L));
    String sha = jedis.scriptLoad("return redis.call('GET', KEYS[1])");
    check("a script by its name", jedis.evalsha(sha, 1, "java:none"), null);
    failure("a script that fails", "nonexistent global", () -> jedis.eval("return nowhere"));
  }

  static void failure(String what, String expected, Runnable command) {
    try {
      command.run();
    } catch (JedisDataException error) {
      check(what, error.getMessage().contains(expected), true);
      return;
    }
    throw new AssertionError(what + " is no error");
  }
}
