//! What Redis does in one go. The first key is a hash with two fields: `login`, the snapshot, and `fence`,
//! the random name of whoever took the lock last. The second key is the lock: the name of whoever has it,
//! until the lease ends. The first two arguments are one's own name, and the fence from before the lock.
//!
//! The fence says who may save: whoever took the lock last, also once the lease is over. It is a name
//! and not a number, because numbers come again when Redis has lost its memory, and random names do not.
//! If Redis forgot the last lock (a replica took over, or nothing was on disk), the fence is what it was
//! before, or nothing: nobody has taken the lock since then either, so the holder is still the last.

/// Takes the lock: what the fence was before, `""` for nothing, and nil if somebody else has it. Asked
/// again in the same name, it does no harm. Arguments: name, "", lease, life of what holds no login.
pub(super) const LOCK: &str = "
local held = redis.call('GET', KEYS[2])
if held and held ~= ARGV[1] then return false end
local before = redis.call('HGET', KEYS[1], 'fence')
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'login') == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return before or ''";

/// Whether a save would work: the lock is taken again for a whole lease, which writes. Arguments: name,
/// fence before, lease, life of what holds no login. 1, or 0 if the lock is somebody else's.
pub(super) const REHEARSE: &str = "
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and fence ~= ARGV[1] and fence ~= ARGV[2] then return 0 end
local held = redis.call('GET', KEYS[2])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])
redis.call('HSET', KEYS[1], 'fence', ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'login') == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1";

/// Arguments: name, fence before, snapshot, how long it is kept or `""`. 1, or 0 if somebody else has
/// taken the lock since.
pub(super) const SAVE: &str = "
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and fence ~= ARGV[1] and fence ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'login', ARGV[3])
if ARGV[4] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1";

/// Deletes the login, and keeps the fence against whoever stalls. Arguments: name, fence before, "", life
/// of what holds no login.
pub(super) const REMOVE: &str = "
local fence = redis.call('HGET', KEYS[1], 'fence')
if fence and fence ~= ARGV[1] and fence ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'login')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1";

/// Gives the lock back, unless it is somebody else's by now. Key: the lock.
pub(super) const RELEASE: &str = "
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// Takes a pending login away, if it is this one still. Key: the pending login.
pub(super) const TAKE: &str = RELEASE;
