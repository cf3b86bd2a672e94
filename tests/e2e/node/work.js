// Work of known shares, until standard input ends. Then one line: what it did, by its own measure.
//
// CPU: processOrder three times createInvoice, both through the same leaf, under labels. What keepBuffers keeps stays in
// the heap.
'use strict';
const Pyroscope = require('@pyroscope/nodejs');

let over = false;
let sink = 1;
const done = { heavy: 0, light: 0 };
const kept = [];

function cpu() {
  const used = process.cpuUsage();
  return (used.user + used.system) * 1000;
}

// The leaf of all CPU time: about half a millisecond a unit.
function spin(units) {
  let x = sink | 1;
  for (let i = 0; i < units * 250000; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
  }
  sink = x;
}

function processOrder(pace) {
  const begin = cpu();
  spin(3 * pace);
  done.heavy += cpu() - begin;
}

function createInvoice(pace) {
  const begin = cpu();
  spin(pace);
  done.light += cpu() - begin;
}

function keepBuffers() {
  if (kept.length < 4000) kept.push(new Array(512).fill(sink));
}

// The pace is never in step with the profiler's clock.
function pace() {
  return 10 + Math.floor(Math.random() * 20);
}

function work() {
  Pyroscope.wrapWithLabels({ controller: 'orders' }, () => processOrder(pace()));
  Pyroscope.wrapWithLabels({ controller: 'billing', stadt: 'Größe ✓' }, () => createInvoice(pace()));
  for (let i = 0; i < 40; i++) keepBuffers();
  if (over) {
    Pyroscope.stop().then(() => console.log(JSON.stringify(done)));
  } else {
    setImmediate(work);
  }
}

Pyroscope.init({
  appName: 'node-app',
  serverAddress: process.argv[2],
  tags: { region: 'eu' },
  flushIntervalMs: 3000,
  wall: { collectCpuTime: true, samplingDurationMs: 3000, samplingIntervalMicros: 10000 },
});
Pyroscope.start();
process.stdin.on('end', () => { over = true; });
process.stdin.resume();
work();
