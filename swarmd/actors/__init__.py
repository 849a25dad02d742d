"""Thin pykka shells around the pure core: they carry out what it decides.

::

    ticker ──tick──▶ supervisor ── starts, pings, restarts ──▶ every actor
      │
      ├─tick─▶ controller ──transact──▶ registry ──submit──▶ store's writer thread
      │            ▲  │                    │  ▲                    │
      │   outcome  │  │ step               │  └──── durable ───────┘
      │            │  ▼                    ▼
      └─tick─▶ provider:NAME            Published ──▶ bridge (the socket's loop)

Calls go down by ``tell``; what they bring comes back as a message. No actor waits for
another. The state that an actor holds can be made again from what is published, so that one
that died is simply started anew.
"""
