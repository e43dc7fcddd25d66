"""What the Redis server does itself: Lua scripts that compare times before they write or remove.

`WRITE` takes entity keys, and for each the message with its time and the values of all features; it returns how many it
wrote. `REMOVE` takes a cursor of SCAN, a pattern, how many keys to look at, and the time as seconds and nanoseconds; it
returns the next cursor and how many entities it removed.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tidemill.features.online import encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.features.online.view import OnlineView

# The three numbers of a time: seconds, nanoseconds, and microseconds of its making. One of ten bytes is negative.
_STAMP = """
local function stamp(text)
  local found, at = {}, 1
  while at <= #text do
    local tag = text:byte(at)
    local value, inverse, scale, count = 0, 0, 1, 0
    repeat
      at, count = at + 1, count + 1
      local digit = text:byte(at) % 128
      value, inverse = value + digit * scale, inverse + (count < 10 and 127 - digit or 1 - digit) * scale
      scale = scale * 128
    until text:byte(at) < 128
    at = at + 1
    found[tag] = count < 10 and value or -1 - inverse
  end
  return found[8] or 0, found[16] or 0, found[120]
end
"""
WRITE = """
local function newer(old, new)
  local s, n, made = stamp(old)
  local new_s, new_n, new_made = stamp(new)
  if s ~= new_s then return s > new_s end
  if n ~= new_n then return n > new_n end
  return made and new_made and made > new_made
end
local width, written = #FIELDS + 1, 0
for i, key in ipairs(KEYS) do
  local first = (i - 1) * width + 1
  local old = redis.call('HGET', key, TIME)
  if not (old and newer(old, ARGV[first])) then
    local pairs_of_it = {TIME, ARGV[first]}
    for j, field in ipairs(FIELDS) do
      pairs_of_it[2 * j + 1], pairs_of_it[2 * j + 2] = field, ARGV[first + j]
    end
    redis.call('HSET', key, unpack(pairs_of_it))
    if TTL > 0 then redis.call('EXPIRE', key, TTL) end
    written = written + 1
  end
end
return written
"""
# Of the keys that match, only those whose entity key ends where the project begins: a project's name may end another's.
REMOVE = """
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local removed = 0
for _, key in ipairs(page[2]) do
  local at = HEAD + 1
  for _ = 1, JOIN_KEYS do
    local a, b, c, d = key:byte(at + 4, at + 7)
    if d then at = at + 8 + a + 256 * (b + 256 * (c + 256 * d)) end
  end
  if key:sub(at) == PROJECT then
    local old = redis.pcall('HGET', key, TIME)
    if type(old) == 'string' then
      local s, n = stamp(old)
      if s < tonumber(ARGV[4]) or s == tonumber(ARGV[4]) and n < tonumber(ARGV[5]) then
        redis.call('HDEL', key, TIME, unpack(FIELDS))
        removed = removed + 1
      end
    end
  end
end
return {page[1], removed}
"""


def script_text(script: str, view: OnlineView, fields: Sequence[bytes], key_ttl: int | None = None) -> str:
    """A script with the names of a view in it, which then need not travel with every call.

    Args:
        script: `WRITE` or `REMOVE`.
        view: whose values these are.
        fields: the hash field of each feature.
        key_ttl: seconds after which an entity's hash expires, or None.
    """
    names = {
        "TIME": _quoted(f"_ts:{view.name}".encode()),
        "FIELDS": "{" + ", ".join(_quoted(f) for f in fields) + "}",
        "PROJECT": _quoted(view.project.encode()),
        "HEAD": str(len(encoding.key_head(view))),
        "JOIN_KEYS": str(len(view.keys)),
        "TTL": str(key_ttl or 0),
    }
    return "".join(f"local {name} = {value}\n" for name, value in names.items()) + _STAMP + script


@functools.cache
def _quoted(value: bytes) -> str:
    """The bytes as a text of Lua."""
    return '"' + "".join(f"\\{byte:03d}" for byte in value) + '"'
