// The npm clients memjs and memcached against a server, in TAP.
//
//     NODE_PATH=FOLDER node npm_clients.js memjs|memcached HOST:PORT [USER PASSWORD]
'use strict';
const assert = require('assert');
const { promisify } = require('util');

// A shared machine may be slow; both clients give up after less than this by default.
const PATIENCE_S = 30;
const [which, server, username, password] = process.argv.slice(2);
let tests = 0;

function report(passed, name, fault) {
  tests += 1;
  console.log(`${passed ? 'ok' : 'not ok'} ${tests} - ${name}${fault ? `: ${fault}` : ''}`);
}

function equal(got, wanted, name) {
  try {
    assert.deepStrictEqual(got, wanted);
    report(true, name);
  } catch (_) {
    report(false, name, `got ${String(got).slice(0, 60)}, wanted ${String(wanted).slice(0, 60)}`);
  }
}

async function refuses(promise, name) {
  const refused = await promise.then(() => false, () => true);
  report(refused, name);
}

// Every byte, around the sizes at which a server changes its ways.
function content(size) {
  return Buffer.from(Array.from({ length: size }, (_, i) => i % 256));
}
const SIZES = [0, 1, 255, 1023, 4096, 16383, 16384, 65537, 900000];

function memjsClient(options) {
  const quiet = { log() {} };
  return require('memjs').Client.create(
    server, { timeout: PATIENCE_S, retries: 1, logger: quiet, username, password, ...options });
}

// Binary protocol.
async function memjs() {
  const client = memjsClient();
  for (const size of SIZES) {
    equal(await client.set(`size${size}`, content(size)), true, `set of ${size} bytes`);
    const { value } = await client.get(`size${size}`);
    report(Buffer.compare(value, content(size)) === 0, `get of ${size} bytes`);
  }
  equal((await client.get('absent')).value, null, 'get of nothing');
  await refuses(client.set('large', content(2000000)), 'set of too much');
  equal(String((await client.get('size1')).value), '\0', 'the connection goes on after it');

  await client.delete('w');
  await refuses(client.append('w', 'x').then((done) => assert(done)), 'append to nothing');
  equal(await client.replace('w', 'x'), false, 'replace of nothing');
  equal(await client.add('w', 'one'), true, 'add');
  equal(await client.add('w', 'two'), false, 'add of something');
  equal(await client.replace('w', 'middle'), true, 'replace');
  equal(await client.append('w', '>'), true, 'append');
  // memjs 1.3.2 sends append for prepend.
  equal(await client.prepend('w', '<'), true, 'prepend');
  equal(String((await client.get('w')).value), 'middle><', 'all of them together');
  equal(await client.delete('w'), true, 'delete');
  equal(await client.delete('w'), false, 'delete of nothing');

  await client.delete('n');
  equal((await client.increment('n', 5, { initial: 10 })).value, 10, 'increment of nothing');
  equal((await client.increment('n', 5, {})).value, 15, 'increment');
  equal((await client.decrement('n', 6, {})).value, 9, 'decrement');
  equal((await client.decrement('n', 100, {})).value, 0, 'decrement below zero');
  await client.set('word', 'word');
  await refuses(client.increment('word', 1, {}), 'increment of a word');

  equal(await client.set('past', 'x', { expires: 1000000000 }), true, 'set that is over');
  equal((await client.get('past')).value, null, 'it is gone');
  equal(await client.set('ahead', 'x', { expires: 1000 }), true, 'set with an expiry');
  equal(await client.touch('ahead', 2000), true, 'touch');
  equal(String((await client.get('ahead')).value), 'x', 'it is there');
  equal(await client.touch('absent', 2000), false, 'touch of nothing');

  // All at once: requests are pipelined, answers told apart by their opaque.
  const numbers = Array.from({ length: 500 }, (_, i) => i);
  await Promise.all(numbers.map((i) => client.set(`many${i}`, `value ${i}`)));
  const got = await Promise.all(numbers.map((i) => client.get(`many${i}`)));
  equal(got.map(({ value }) => String(value)), numbers.map((i) => `value ${i}`), '500 at once');

  const statistics = (key) => new Promise((resolve, reject) => client.statsWithKey(
    key, (error, _, stats) => (error ? reject(error) : resolve(stats))));
  report(Number((await statistics('')).curr_items) >= 500, 'stats: curr_items');
  report(Number((await statistics('settings')).maxbytes) > 0, 'stats settings: maxbytes');

  const other = memjsClient();
  equal(String((await other.get('many7')).value), 'value 7', 'another connection');
  await client.flush();
  equal((await other.get('many7')).value, null, 'flush');
  other.close();
  client.close();

  if (username) {
    const intruder = memjsClient({ password: `${password}x` });
    await refuses(intruder.get('ahead'), 'a wrong password');
    intruder.close();
    const silent = memjsClient({ username: undefined, password: undefined });
    await refuses(silent.get('ahead'), 'no password');
    silent.close();
  }
}

// Text protocol.
async function memcached() {
  const Memcached = require('memcached');
  const connect = () => new Memcached(
    server, { timeout: PATIENCE_S * 1000, idle: PATIENCE_S * 1000, retries: 0, failures: 0 });
  // Its functions take a callback, which is called with an error or false for what did not happen.
  const promised = (client) => new Proxy(client, {
    get: (target, name) => promisify(target[name].bind(target)),
  });
  const plain = connect();
  const client = promised(plain);
  for (const size of SIZES) {
    const value = content(size).toString('latin1').replace(/[^ -~]/g, '.');
    equal(await client.set(`size${size}`, value, 0), true, `set of ${size} bytes`);
    report((await client.get(`size${size}`)) === value, `get of ${size} bytes`);
  }
  equal(await client.get('absent'), undefined, 'get of nothing');
  const tree = { list: [1, 2, { three: 3 }], nothing: null };
  for (const value of [content(1000), tree, 42, 'a\r\nb']) {
    await client.set('object', value, 0);
    equal(await client.get('object'), value, `a ${typeof value} comes back as it was`);
  }

  await client.del('w');
  await refuses(client.replace('w', 'x', 0), 'replace of nothing');
  equal(await client.add('w', 'one', 0), true, 'add');
  await refuses(client.add('w', 'two', 0), 'add of something');
  equal(await client.replace('w', 'middle', 0), true, 'replace');
  equal(await client.append('w', '>'), true, 'append');
  equal(await client.prepend('w', '<'), true, 'prepend');
  const seen = await client.gets('w');
  equal(seen.w, '<middle>', 'gets');
  equal(await client.cas('w', 'new', seen.cas, 0), true, 'cas');
  equal(await client.cas('w', 'newer', seen.cas, 0), false, 'cas with an old token');
  equal(await client.get('w'), 'new', 'the first cas has won');
  equal(await client.touch('w', 1000), true, 'touch');
  equal(await client.del('w'), true, 'delete');
  equal(await client.del('w'), false, 'delete of nothing');
  equal(await client.touch('w', 1000), false, 'touch of nothing');

  await client.set('n', 5, 0);
  equal(await client.incr('n', 95), 100, 'incr');
  equal(await client.decr('n', 1), 99, 'decr');
  equal(await client.decr('n', 1000), 0, 'decr below zero');
  equal(await client.incr('absent', 1), false, 'incr of nothing');

  await client.set('past', 'x', 1000000000);
  equal(await client.get('past'), undefined, 'an expiry in the past');
  await client.set('ahead', 'x', 1000);
  equal(await client.get('ahead'), 'x', 'an expiry ahead');

  const pairs = Object.fromEntries(
    Array.from({ length: 500 }, (_, i) => [`many${i}`, `value ${i} `.repeat(i % 50)]));
  await Promise.all(Object.entries(pairs).map(([key, value]) => client.set(key, value, 0)));
  const got = await client.getMulti([...Object.keys(pairs), 'absent']);
  equal({ ...got }, pairs, 'getMulti of 501 keys');

  report(/^\d+\.\d+/.test((await client.version())[0].version), 'version');
  report(Number((await client.stats())[0].curr_items) >= 500, 'stats: curr_items');
  report(Number((await client.settings())[0].maxbytes) > 0, 'stats settings: maxbytes');
  report(Object.keys((await client.items())[0]).length > 0, 'stats items');
  report(Object.keys((await client.slabs())[0]).length > 0, 'stats slabs');

  const other = connect();
  equal(await promised(other).get('many7'), pairs.many7, 'another connection');
  await client.flush();
  equal(await client.get('many7'), undefined, 'flush');
  other.end();
  plain.end();
}

({ memjs, memcached })[which]().then(
  () => console.log(`1..${tests}`),
  (error) => {
    console.log(`not ok ${tests + 1} - the script stopped: ${error && error.stack || error}`);
    process.exit(1);
  });
