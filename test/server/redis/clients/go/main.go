// go-redis against a server on 127.0.0.1, whose port is the argument. Exits with 0 only where everything holds.
package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

// check compares what a command gave with what it should give.
func check(what string, found any, err error, expected any) {
	if err != nil {
		fail("%s: %v", what, err)
	}
	if !reflect.DeepEqual(found, expected) {
		fail("%s: %#v instead of %#v", what, found, expected)
	}
}

func checkText(what string, command *redis.Cmd, expected string) {
	_, err := command.Result()
	if err == nil || !strings.Contains(err.Error(), expected) {
		fail("%s: %v instead of %s", what, err, expected)
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for _, protocol := range []int{2, 3} {
		options := &redis.Options{Addr: "127.0.0.1:" + os.Args[1], Protocol: protocol}
		client, other := redis.NewClient(options), redis.NewClient(options)
		if err := client.FlushDB(ctx).Err(); err != nil {
			fail("FLUSHDB: %v", err)
		}
		client.Del(ctx, "users:2")
		commands(ctx, client)
		pipelines(ctx, client)
		transactions(ctx, client, other)
		scans(ctx, client)
		sortedSets(ctx, client)
		channels(ctx, client, other)
		replies(ctx, client)
		waited, err := client.Wait(ctx, 1, 30*time.Second).Result()
		check("WAIT", waited, err, int64(1))
		client.Close()
		other.Close()
	}
	fmt.Printf("go-redis %s: everything holds\n", redis.Version())
}

func commands(ctx context.Context, client *redis.Client) {
	set, err := client.Set(ctx, "go:greeting", "Zoë", 100*time.Second).Result()
	check("SET", set, err, "OK")
	text, err := client.Get(ctx, "go:greeting").Result()
	check("GET", text, err, "Zoë")
	if err := client.Get(ctx, "go:none").Err(); !errors.Is(err, redis.Nil) {
		fail("GET of nothing: %v", err)
	}
	count, err := client.IncrBy(ctx, "go:n", 41).Result()
	check("INCRBY", count, err, int64(41))
	client.MSet(ctx, "go:a", 1, "go:b", 2)
	many, err := client.MGet(ctx, "go:a", "go:b", "go:none").Result()
	check("MGET", many, err, []any{"1", "2", nil})

	added, err := client.HSet(ctx, "users:2", "name", "Grace", "visits", 3).Result()
	check("HSET", added, err, int64(2))
	visits, err := client.HIncrBy(ctx, "users:2", "visits", 4).Result()
	check("HINCRBY", visits, err, int64(7))
	row, err := client.HGetAll(ctx, "users:2").Result()
	check("HGETALL", row, err, map[string]string{"name": "Grace", "visits": "7"})
	var user struct {
		Name   string `redis:"name"`
		Visits int    `redis:"visits"`
	}
	if err := client.HGetAll(ctx, "users:2").Scan(&user); err != nil || user.Visits != 7 {
		fail("HGETALL into a struct: %v, %v", user, err)
	}

	expires, err := client.Expire(ctx, "go:a", 100*time.Second).Result()
	check("EXPIRE", expires, err, true)
	left, err := client.TTL(ctx, "go:a").Result()
	check("TTL", left > 90*time.Second && left <= 100*time.Second, err, true)
	stays, err := client.Persist(ctx, "go:a").Result()
	check("PERSIST", stays, err, true)
	client.PExpireAt(ctx, "go:b", time.Unix(1, 0))
	exist, err := client.Exists(ctx, "go:a", "go:b").Result()
	check("EXISTS", exist, err, int64(1))
}

func pipelines(ctx context.Context, client *redis.Client) {
	replies, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for n := 0; n < 1000; n++ {
			pipe.Set(ctx, fmt.Sprintf("go:p:%d", n), n, 0)
		}
		return nil
	})
	check("a pipeline", len(replies), err, 1000)
	value, err := client.Get(ctx, "go:p:999").Result()
	check("what it wrote", value, err, "999")
}

func transactions(ctx context.Context, client *redis.Client, other *redis.Client) {
	increase := func(meanwhile func()) error {
		return client.Watch(ctx, func(tx *redis.Tx) error {
			before, err := tx.Get(ctx, "go:sum").Int()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			meanwhile()
			_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				pipe.Set(ctx, "go:sum", before+1, 0)
				pipe.Incr(ctx, "go:sum")
				return nil
			})
			return err
		}, "go:sum")
	}
	check("EXEC", nil, increase(func() {}), nil)
	sum, err := client.Get(ctx, "go:sum").Int()
	check("its outcome", sum, err, 2)
	err = increase(func() { other.Set(ctx, "go:sum", 100, 0) })
	if !errors.Is(err, redis.TxFailedErr) {
		fail("EXEC did not notice the change: %v", err)
	}
	sum, err = client.Get(ctx, "go:sum").Int()
	check("the watched key", sum, err, 100)
}

func scans(ctx context.Context, client *redis.Client) {
	seen := map[string]bool{}
	walk := client.Scan(ctx, 0, "go:p:*", 100).Iterator()
	for walk.Next(ctx) {
		seen[walk.Val()] = true
	}
	check("SCAN", len(seen), walk.Err(), 1000)
}

func sortedSets(ctx context.Context, client *redis.Client) {
	added, err := client.ZAdd(ctx, "go:board",
		redis.Z{Score: 12.5, Member: "ada"}, redis.Z{Score: 3, Member: "bob"}, redis.Z{Score: math.Inf(1), Member: "eve"},
	).Result()
	check("ZADD", added, err, int64(3))
	score, err := client.ZIncrBy(ctx, "go:board", 0.25, "bob").Result()
	check("ZINCRBY", score, err, 3.25)
	rank, err := client.ZRevRank(ctx, "go:board", "ada").Result()
	check("ZREVRANK", rank, err, int64(1))
	ranked, err := client.ZRankWithScore(ctx, "go:board", "bob").Result()
	check("ZRANK", ranked, err, redis.RankScore{Rank: 0, Score: 3.25})
	found, err := client.ZRangeWithScores(ctx, "go:board", 0, 1).Result()
	check("ZRANGE", found, err, []redis.Z{{Score: 3.25, Member: "bob"}, {Score: 12.5, Member: "ada"}})
	names, err := client.ZRangeByScore(ctx, "go:board", &redis.ZRangeBy{Min: "(3.25", Max: "+inf", Count: 1}).Result()
	check("ZRANGEBYSCORE", names, err, []string{"ada"})
	popped, err := client.BZPopMax(ctx, time.Second, "go:board").Result()
	if err != nil || popped.Member != "eve" || !math.IsInf(popped.Score, 1) {
		fail("BZPOPMAX: %v, %v", popped, err)
	}
	key, least, err := client.ZMPop(ctx, "min", 5, "go:none", "go:board").Result()
	check("ZMPOP", append([]redis.Z{{Member: key}}, least...), err,
		[]redis.Z{{Member: "go:board"}, {Score: 3.25, Member: "bob"}, {Score: 12.5, Member: "ada"}})
}

func channels(ctx context.Context, client *redis.Client, other *redis.Client) {
	listener := client.Subscribe(ctx, "go:news")
	defer listener.Close()
	if _, err := listener.Receive(ctx); err != nil {
		fail("SUBSCRIBE: %v", err)
	}
	heard, err := other.Publish(ctx, "go:news", "hello").Result()
	check("PUBLISH", heard, err, int64(1))
	message, err := listener.ReceiveMessage(ctx)
	if err != nil {
		fail("a message: %v", err)
	}
	check("a message", message.Payload, nil, "hello")
}

func replies(ctx context.Context, client *redis.Client) {
	checkText("the wrong type", client.Do(ctx, "LPUSH", "go:a", "x"), "WRONGTYPE")
	checkText("no number", client.Do(ctx, "INCR", "go:greeting"), "not an integer")
	checkText("an unknown command", client.Do(ctx, "NOPE"), "unknown command")
	checkText("an unknown column", client.Do(ctx, "HSET", "users:2", "nope", "1"), "nope")
	// Sends EVALSHA, and EVAL after NOSCRIPT.
	script := redis.NewScript("return redis.call('APPEND', KEYS[1], ARGV[1])")
	appended, err := script.Run(ctx, client, []string{"go:script"}, "abc").Int64()
	check("a script", appended, err, int64(3))
	appended, err = script.Run(ctx, client, []string{"go:script"}, "d").Int64()
	check("a script again", appended, err, int64(4))
	check("what it has left", client.Del(ctx, "go:script").Val(), nil, int64(1))
	failing := redis.NewScript("return nowhere").Run(ctx, client, nil)
	checkText("a script that fails", failing, "nonexistent global variable")
}
