// Requests of a capture, for: k6 run -e TARGET=http://HOST:PORT SCRIPT
//
//   TARGET  where the requests go; none is recorded
//   SPEED   2 is twice as fast (1)
//   RATE    requests a second at a constant rate, instead of the recorded instants
//   USERS   requests under way at once, at most (@USERS@)
//   TOKEN   value of the authorization field; credentials are never recorded
import http from 'k6/http';
import exec from 'k6/execution';
import encoding from 'k6/encoding';
import { sleep } from 'k6';
import { SharedArray } from 'k6/data';
import { Trend } from 'k6/metrics';

const requests = new SharedArray('requests', () => JSON.parse(open("@DATA@")));
const recordedSeconds = @SECONDS@;

const target = (__ENV.TARGET || '').replace(/\/+$/, '');
const speed = Number(__ENV.SPEED || 1);
const rate = Number(__ENV.RATE || 0);
const users = Number(__ENV.USERS || @USERS@);
if (!target) {
  throw new Error('give the target: k6 run -e TARGET=http://HOST:PORT');
}
if (!(speed > 0) || !(rate >= 0) || !(users >= 1)) {
  throw new Error('SPEED and USERS must be above 0, RATE not below it');
}

const span = rate > 0 ? requests.length / rate : recordedSeconds / speed;

export const options = {
  scenarios: {
    recorded: {
      executor: 'shared-iterations',
      vus: Math.min(users, requests.length),
      iterations: requests.length,
      maxDuration: `${Math.ceil(span) + 600}s`,
    },
  },
};

// Milliseconds between the instant that the schedule asked for and the instant of sending.
const lag = new Trend('understudy_lag', true);

export default function () {
  const at = exec.scenario.iterationInTest;
  const request = requests[at];
  const offset = rate > 0 ? (at * 1000) / rate : request.offset_ms / speed;
  const due = exec.scenario.startTime + offset;
  const wait = due - Date.now();
  if (wait > 0) {
    sleep(wait / 1000);
  }
  lag.add(Math.max(0, Date.now() - due));

  const headers = Object.assign({}, request.headers);
  if (__ENV.TOKEN) {
    headers.authorization = __ENV.TOKEN;
  }
  let body = null;
  if (request.body !== undefined) {
    body = request.body;
  } else if (request.body_base64 !== undefined) {
    body = encoding.b64decode(request.body_base64);
  }
  http.request(request.method, target + request.target, body, { headers, redirects: 0 });
}
