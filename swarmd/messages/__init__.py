"""The nouns, requests, replies, events and configuration, as frozen msgspec Structs."""
