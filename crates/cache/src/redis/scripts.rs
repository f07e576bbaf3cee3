//! The scripts that run inside Redis, each one atomic step, and what they keep there. They decide what may be given
//! and what may be kept; when they are called is not known here.
//!
//! Under the prefix there are `state`, a hash with everything that must be lost together or not at all (the epoch,
//! the clock of purges, and the moments at which tags and beginnings of keys were purged); `purges`, a stream with
//! one entry for each tick of the clock; and the values.

use super::entry::{Entry, Heard, KEY};
use super::value::Frame;
use crate::tier::Moment;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisError, RedisResult, Value, cmd};

/// Entries that the stream keeps at least. Who has missed more than that forgets everything.
const ENTRIES: u64 = 65_536;
/// Tags whose purges are remembered. Beyond, everything is purged.
const TAGS: u64 = 262_144;
/// The same for beginnings of keys.
const BEGINNINGS: u64 = 64;
/// Purges since the birth of a response that are looked through before it is kept. Beyond, it is not.
const LOOKED_THROUGH: u64 = 1_024;

/// Gives the epoch that Redis is in, or begins one when something is missing. The values of an entry, `PURGE` writes
/// them, are at the even places: epoch, gateway, token, soft, kind, data.
const BEGIN: &str = r"
local state, stream = KEYS[1], KEYS[2]
local fresh, known, position, token = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
-- Changes nothing, and fails where nothing can be changed: on a replica.
redis.call('HDEL', state, 'nothing')
local epoch = redis.call('HGET', state, 'epoch')
local clock = tonumber(redis.call('HGET', state, 'clock') or '0')
local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
local whole = epoch and (clock == 0 or (last and last[1] == string.format('%.0f-0', clock)))
if whole and epoch == known and position > 0 then
  local id = string.format('%.0f-0', position)
  local seen = redis.call('XRANGE', stream, id, id)[1]
  -- An entry that is not there was trimmed, or never was in what Redis has come back with.
  if seen then whole = seen[2][6] == token else whole = position < clock end
end
if not whole then
  redis.call('UNLINK', state, stream)
  redis.call('HSET', state, 'epoch', fresh, 'clock', 0, 'floor', 0)
  return {fresh, 0, ''}
end
return {epoch, clock, last and last[2][6] or ''}
";

/// Writes an entry, and what makes older values unusable.
const PURGE: &str = r"
local state, stream = KEYS[1], KEYS[2]
local epoch, kind, data = ARGV[1], ARGV[5], ARGV[6]
if redis.call('HGET', state, 'epoch') ~= epoch then return redis.error_reply('EPOCH is another one') end
local now = redis.call('HINCRBY', state, 'clock', 1)
redis.call('XADD', stream, 'MAXLEN', '~', ARGV[7], string.format('%.0f-0', now),
  'e', epoch, 'f', ARGV[2], 't', ARGV[3], 's', ARGV[4], 'k', kind, 'd', data)
local full = false
if kind == 'key' then
  redis.call('UNLINK', KEYS[3])
elseif kind == 'tag' then
  redis.call('HSET', state, 't' .. string.sub(data, 1, 8), now)
  full = redis.call('HLEN', state) > tonumber(ARGV[8])
else
  local at, bytes = string.match(data, '^(%d+) (.*)$')
  local count = tonumber(redis.call('HGET', state, 'count') or '0')
  full = bytes == '' or count >= tonumber(ARGV[9])
  if not full then
    local known = redis.call('HGET', state, 'beginnings') or ''
    local one = string.format('%.0f %s %d ', now, at, #bytes) .. bytes
    redis.call('HSET', state, 'count', count + 1, 'beginnings', known .. one)
  end
end
if full then
  redis.call('UNLINK', state)
  redis.call('HSET', state, 'epoch', epoch, 'clock', now, 'floor', now)
end
return now
";

/// Gives a value that nothing purged since it was asked for. Its head is written in `value.rs`.
const READ: &str = r"
local state, object = KEYS[1], KEYS[2]
local epoch, seen, key, most = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local known = redis.call('HMGET', state, 'epoch', 'clock', 'floor', 'beginnings')
if known[1] ~= epoch or tonumber(known[2]) < seen then return redis.error_reply('EPOCH is another one') end
local length = redis.call('STRLEN', object)
if length == 0 or length > most then return false end
local value = redis.call('GET', object)
local born, tags = tonumber(string.sub(value, 1, 16)), tonumber(string.sub(value, 17, 20))
if not born or not tags or born < tonumber(known[3]) then return false end
if tags > 0 then
  local names = {}
  for at = 53, 53 + 8 * (tags - 1), 8 do names[#names + 1] = 't' .. string.sub(value, at, at + 7) end
  for _, purged in ipairs(redis.call('HMGET', state, unpack(names))) do
    if purged and tonumber(purged) > born then return false end
  end
end
local rest = known[4] or ''
while #rest > 0 do
  local purged, at, length, tail = string.match(rest, '^(%d+) (%d+) (%d+) (.*)$')
  length = tonumber(length)
  local bytes, from = string.sub(tail, 1, length), tonumber(at) + 1
  if tonumber(purged) > born and string.sub(key, from, from + length - 1) == bytes then return false end
  rest = string.sub(tail, length + 1)
end
return {value, redis.call('PTTL', object)}
";

/// Keeps a value, unless an entry since it was asked for means it.
const PUT: &str = r"
local state, stream, object = KEYS[1], KEYS[2], KEYS[3]
local epoch, born, key, tags = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local known = redis.call('HMGET', state, 'epoch', 'clock')
local clock = tonumber(known[2] or '-1')
if known[1] ~= epoch or clock < born then return redis.error_reply('EPOCH is another one') end
local since, most = clock - born, tonumber(ARGV[7])
if since > most then return 0 end
if since > 0 then
  local entries = redis.call('XRANGE', stream, string.format('%.0f-0', born + 1), '+', 'COUNT', most)
  -- One for each tick of the clock, or some are missing.
  if #entries ~= since then return 0 end
  for _, entry in ipairs(entries) do
    local kind, data = entry[2][10], entry[2][12]
    if kind == 'key' then
      if data == key then return 0 end
    elseif kind == 'tag' then
      local tag = string.sub(data, 1, 8)
      for at = 1, #tags, 8 do
        if string.sub(tags, at, at + 7) == tag then return 0 end
      end
    else
      local at, bytes = string.match(data, '^(%d+) (.*)$')
      local from = tonumber(at) + 1
      if string.sub(key, from, from + #bytes - 1) == bytes then return 0 end
    end
  end
end
redis.call('SET', object, ARGV[5], 'PX', ARGV[6])
return 1
";

/// The names of what lies in Redis.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: Box<str>,
    pub(super) state: Box<str>,
    pub(super) stream: Box<str>,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        let name = |last: &str| format!("{prefix}:{last}").into();
        Self { prefix: prefix.into(), state: name("state"), stream: name("purges") }
    }

    /// What was kept in another epoch is not found.
    fn value(&self, epoch: &str, key: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), b":", epoch.as_bytes(), b":", key].concat()
    }
}

/// Where a gateway is in the stream of purges: what it can know of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Empty before the first one is known.
    pub(super) epoch: String,
    /// Entries up to this one are known, and the token of it.
    pub(super) clock: u64,
    pub(super) token: String,
}

impl Position {
    /// As it is remembered outside of the process.
    pub(super) fn write(&self) -> String {
        format!("{} {} {}", self.epoch, self.clock, self.token)
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ').map(str::to_owned);
        let (epoch, clock, token) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        Some(Self { epoch, clock, token })
    }
}

/// A connection on which the scripts are known.
#[derive(Clone)]
pub(super) struct Scripts {
    connection: MultiplexedConnection,
    names: Names,
    begin: String,
    purge: String,
    read: String,
    put: String,
}

impl Scripts {
    pub(super) async fn load(mut connection: MultiplexedConnection, names: Names) -> RedisResult<Self> {
        let mut load = Pipeline::new();
        for text in [BEGIN, PURGE, READ, PUT] {
            load.cmd("SCRIPT").arg("LOAD").arg(text);
        }
        let (begin, purge, read, put) = load.query_async(&mut connection).await?;
        Ok(Self { connection, names, begin, purge, read, put })
    }

    /// Where the epoch is that Redis is in. It begins `fresh`, a new one, when Redis does not know all that it knew
    /// at `known`.
    pub(super) async fn begin(&mut self, fresh: &str, known: &Position) -> RedisResult<Position> {
        let mut begin = cmd("EVALSHA");
        begin.arg(&self.begin).arg(2).arg(&*self.names.state).arg(&*self.names.stream);
        begin.arg(fresh).arg(&known.epoch).arg(known.clock).arg(&known.token);
        let (epoch, clock, token) = begin.query_async(&mut self.connection).await?;
        Ok(Position { epoch, clock, token })
    }

    /// Writes purges of the gateway `from`; the clock after the last one.
    pub(super) async fn purge(&mut self, epoch: &str, from: &str, entries: &[Entry]) -> RedisResult<u64> {
        let mut purges = Pipeline::with_capacity(entries.len());
        for entry in entries {
            let (kind, data) = entry.fields();
            let key = if kind == KEY { self.names.value(epoch, &data) } else { Vec::new() };
            let purge = purges.cmd("EVALSHA").arg(&self.purge).arg(3);
            purge.arg(&*self.names.state).arg(&*self.names.stream).arg(key);
            purge.arg(epoch).arg(from).arg(&entry.token).arg(u8::from(entry.soft)).arg(kind).arg(data);
            purge.arg(ENTRIES).arg(TAGS).arg(BEGINNINGS);
        }
        let clocks: Vec<u64> = purges.query_async(&mut self.connection).await?;
        Ok(clocks.into_iter().max().unwrap_or_default())
    }

    /// The value under `key`, unless it was purged, and the milliseconds that it has left.
    pub(super) async fn read(
        &mut self,
        epoch: &str,
        seen: u64,
        key: &[u8],
        most: usize,
    ) -> RedisResult<Option<(Vec<u8>, i64)>> {
        let mut read = cmd("EVALSHA");
        read.arg(&self.read).arg(2).arg(&*self.names.state).arg(self.names.value(epoch, key));
        read.arg(epoch).arg(seen).arg(key).arg(most);
        match read.query_async(&mut self.connection).await? {
            Value::Nil => Ok(None),
            value => redis::from_redis_value(value).map(Some).map_err(RedisError::from),
        }
    }

    /// Keeps a value that was asked for at `born`; false when something was purged since that may mean it.
    pub(super) async fn put(
        &mut self,
        epoch: &str,
        born: Moment,
        key: &[u8],
        frame: &Frame,
    ) -> RedisResult<bool> {
        let mut put = cmd("EVALSHA");
        put.arg(&self.put).arg(3).arg(&*self.names.state).arg(&*self.names.stream);
        put.arg(self.names.value(epoch, key)).arg(epoch).arg(born.position).arg(key).arg(&frame.tags);
        put.arg(&frame.bytes).arg(frame.keep_ms).arg(LOOKED_THROUGH);
        put.query_async(&mut self.connection).await
    }

    /// Takes the value under `key` away.
    pub(super) async fn forget(&mut self, epoch: &str, key: &[u8]) -> RedisResult<()> {
        cmd("UNLINK").arg(self.names.value(epoch, key)).query_async(&mut self.connection).await
    }

    /// Entries from the one at `clock` on.
    pub(super) async fn entries(&mut self, clock: u64, most: usize) -> RedisResult<Vec<Heard>> {
        let mut range = cmd("XRANGE");
        range.arg(&*self.names.stream).arg(format!("{clock}-0")).arg("+").arg("COUNT").arg(most);
        range.query_async(&mut self.connection).await
    }

    /// Epoch and clock as they are now.
    pub(super) async fn now(&mut self) -> RedisResult<(String, u64)> {
        let mut ask = cmd("HMGET");
        ask.arg(&*self.names.state).arg("epoch").arg("clock");
        let (epoch, clock): (Option<String>, Option<u64>) = ask.query_async(&mut self.connection).await?;
        Ok((epoch.unwrap_or_default(), clock.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for (clock, token) in [(0, ""), (7, "a.1")] {
            let position = Position { epoch: "a.5".to_owned(), clock, token: token.to_owned() };
            assert_eq!(Position::read(&position.write()), Some(position));
        }
        for bad in ["", "a", "a b c", "a -1 c"] {
            assert_eq!(Position::read(bad), None, "{bad}");
        }
    }
}
