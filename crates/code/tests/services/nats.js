'use strict';
// A shop and a search service over NATS and JetStream, with a client of it that needs no package: nats.js shop|search [FLAG…]
const net = require('node:net');
const fs = require('node:fs');
const [role, ...flags] = process.argv.slice(2);
const is = (flag) => flags.includes(flag);

class Client {
  constructor() {
    this.sids = 0;
    this.heard = new Map();
    let text = Buffer.alloc(0);
    this.socket = net.connect(Number(new URL(process.env.NATS_URL).port), '127.0.0.1').on('error', () => process.exit(1)).on('data', (chunk) => {
      text = Buffer.concat([text, chunk]);
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const words = text.subarray(0, end).toString().split(' ');
        const carries = words[0] === 'MSG' || words[0] === 'HMSG';
        const length = carries ? Number(words.at(-1)) + 2 : 0;
        if (text.length < end + 2 + length) return;
        const head = words[0] === 'HMSG' ? Number(words.at(-2)) : 0;
        const [headers, body] = [text.subarray(end + 2, end + 2 + head).toString(), text.subarray(end + 2 + head, end + length).toString()];
        text = text.subarray(end + 2 + length);
        if (words[0] === 'PING') this.socket.write('PONG\r\n');
        if (carries) this.heard.get(words[2])({ subject: words[1], reply: words.length > (head ? 5 : 4) ? words[3] : undefined, headers, body });
      }
    });
    this.socket.write('CONNECT {"verbose":false,"headers":true}\r\n');
  }

  hear(subject, heard) { const sid = `${(this.sids += 1)}`; this.heard.set(sid, heard); this.socket.write(`SUB ${subject} ${sid}\r\n`); }
  say(subject, body, reply = '', headers = '') {
    const head = headers && `NATS/1.0\r\n${headers}\r\n\r\n`;
    this.socket.write(`${head ? 'HPUB' : 'PUB'} ${subject} ${reply && `${reply} `}${head && `${head.length} `}${head.length + Buffer.byteLength(body)}\r\n${head}${body}\r\n`);
  }
  ask(subject, body, headers = '') {
    return new Promise((done) => { const inbox = `_INBOX.${process.pid}.${this.sids + 1}`; this.hear(inbox, (message) => done(JSON.parse(message.body || 'null'))); this.say(subject, body, inbox, headers); });
  }
  api(what, asks) { return this.ask(`$JS.API.${what}`, JSON.stringify(asks)); }
}

const file = `${process.env.PELLMELL_FOLDER}/records.json`;
const records = new Map((fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : []).map((row) => [row.record, row]));
const save = (record, version, value) => { records.set(record, { record, version, value }); fs.writeFileSync(file, JSON.stringify([...records.values()])); };
const client = is('deaf') ? undefined : new Client();

async function shop() {
  await client.api('STREAM.CREATE.ITEMS', { name: 'ITEMS', subjects: ['item.>'] });
  client.hear('set_price', async ({ reply, body }) => {
    const { price } = JSON.parse(body);
    if (price > 100) return client.say(reply, '', '', 'Nats-Service-Error-Code: 400\r\nNats-Service-Error: too much');
    const version = records.has('i1') ? records.get('i1').version + 1 : 0;
    save('i1', version, { price });
    const said = JSON.stringify({ id: 'i1', price, version });
    if (is('core')) client.say('item.changed', said);
    else for (let times = 0; times < 2; times += 1) await client.ask('item.changed', said, `Nats-Msg-Id: ${version}`);
    client.say(reply, 'done');
  });
}

async function handle({ reply, body }, answer) {
  const { id, price, version } = JSON.parse(body);
  const held = records.get(id)?.version ?? -1;
  const attempt = reply ? Number(reply.split('.')[4]) : 1;
  if (is('hangs')) for (;;);
  if (is('floods')) { const again = () => { for (let times = 0; times < 1_000; times += 1) client.say('news', 'again'); setImmediate(again); }; again(); }
  if (is('garbage')) client.socket.write('HELLO\r\n');
  if (is('purges')) return client.api('STREAM.PURGE.ITEMS', {});
  if (is('busy')) { const again = () => setImmediate(again); again(); }
  if (is('dies')) { console.error('out of cheese'); process.exit(3); }
  if (is('leaves')) fs.writeFileSync(process.env.LEFT, `${require('node:child_process').spawn('sleep', ['600'], { stdio: 'inherit' }).pid}`);
  if (is('works')) { answer('+WPI'); await new Promise((done) => setTimeout(done, 5_000)); }
  if (is('term') && price > 5) return answer('+TERM');
  if (is('never') || (is('silent') && attempt < 3)) return undefined;
  if (is('nak') && attempt < 3) return answer('-NAK {"delay":2000000000}');
  if (is('gives-up')) return answer('-NAK');
  if (!is('careless') && version > held + 1) { console.error('a version is missing'); return answer('-NAK'); }
  if (is('careless') || version > held) save(id, version, { price });
  answer('+ACK');
}

async function search() {
  const given = (message) => handle(message, (verb) => message.reply && client.say(message.reply, verb));
  if (is('core')) return client.hear('item.changed', given);
  if (is('gives-up')) client.hear('$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>', ({ body }) => {
    const { stream, consumer, stream_seq: sequence, deliveries } = JSON.parse(body);
    save('i9', 0, { told: `${stream} ${consumer} ${sequence} ${deliveries}` });
  });
  const config = { durable_name: 'search', name: 'search', ack_policy: is('none') ? 'none' : 'explicit', filter_subject: 'item.changed', max_deliver: 3 };
  const durable = is('ephemeral') ? {} : { durable_name: 'search' };
  const { error } = await client.api('CONSUMER.CREATE.ITEMS', { stream_name: 'ITEMS', config: { ...config, durable_name: undefined, name: undefined, ...durable, deliver_subject: is('push') ? 'pushes.search' : undefined } });
  if (error) { console.error(error.description); process.exit(1); }
  if (is('push')) return client.hear('pushes.search', given);
  const inbox = `_INBOX.${process.pid}.pulls`;
  const pull = () => client.say('$JS.API.CONSUMER.MSG.NEXT.ITEMS.search', is('now') ? '{"batch":1,"no_wait":true}' : '{"batch":1,"expires":5000000000}', inbox);
  client.hear(inbox, async (message) => {
    if (message.reply) await given(message);
    if (!is('once')) pull();
  });
  pull();
}

if (client) (role === 'shop' ? shop : search)();
