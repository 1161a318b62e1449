"""What may have happened to the hash of a schedule."""

from __future__ import annotations

from typing import Any

DAMAGE: dict[str, Any] = {
    "func missing": lambda r, key: r.hdel(key, "func_name"),
    "queue missing": lambda r, key: r.hdel(key, "queue_name"),
    "id missing": lambda r, key: r.hdel(key, "id"),
    "interval missing": lambda r, key: r.hdel(key, "interval"),
    "interval -5": lambda r, key: r.hset(key, "interval", -5),
    "interval text": lambda r, key: r.hset(key, "interval", "often"),
    "both": lambda r, key: r.hset(key, "cron", "* * * * *"),
    "bad cron": lambda r, key: r.hset(key, mapping={"interval": "", "cron": "61 * * * *"}),
    "cron of old": lambda r, key: r.hset(key, mapping={"interval": "", "cron": "0 8 W15 * *"}),
    "cron without end": lambda r, key: r.hset(key, mapping={"interval": "", "cron": "0," * 99999}),
    "cron that never fires": lambda r, key: r.hset(
        key, mapping={"interval": "", "cron": "0 0 30 2 *"}
    ),
    "a day that is none": lambda r, key: r.hset(key, "created_at", "2026-02-30T00:00:00.000000Z"),
    "a month that is none": lambda r, key: r.hset(
        key, "latest_enqueue_time", "2026-13-01T00:00:00.000000Z"
    ),
    "bad count of runs": lambda r, key: r.hset(key, "runs", "many"),
    "bad json": lambda r, key: r.hset(key, "args", "[1,"),
    "json of wrong type": lambda r, key: r.hset(key, "kwargs", "[]"),
    "not utf-8": lambda r, key: r.hset(key, "queue_name", b"\xff\xfe"),
    "bad date": lambda r, key: r.hset(key, "next_enqueue_time", "tomorrow"),
    "bad latest date": lambda r, key: r.hset(key, "latest_enqueue_time", b"-5\xff"),
    "bad revision": lambda r, key: r.hset(key, mapping={"revision": "many", "ttl": "x"}),
    "bad ttl": lambda r, key: r.hset(key, "ttl", "-7"),
    "no such function": lambda r, key: r.hset(key, "func_name", "tests.tasks.nothing"),
    "no such module": lambda r, key: r.hset(key, "func_name", "no.such.module"),
    "module raises": lambda r, key: r.hset(key, "func_name", "tests.broken.raises.run"),
    "module exits": lambda r, key: r.hset(key, "func_name", "tests.broken.exits.run"),
    "module gives up": lambda r, key: r.hset(key, "func_name", "tests.broken.gives_up.run"),
    "module interrupts": lambda r, key: r.hset(key, "func_name", "tests.broken.interrupts.run"),
}
