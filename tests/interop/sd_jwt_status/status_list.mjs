// Status lists on @sd-jwt/jwt-status-list: reads one JSON task on stdin, prints JSON.
//
// Task "make": key as PEM (P-256), chain (base64 DER, leaf first), values, bits, claims {sub, iat, exp, ttl}; the answer
// is {token}. Task "read": token, places; the answer is {values}.
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { StatusList, createHeaderAndPayload, getListFromStatusListJWT } = require('@sd-jwt/jwt-status-list');

const task = JSON.parse(readFileSync(0, 'utf8'));
const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

if (task.do === 'make') {
  const list = new StatusList(task.values, task.bits);
  const { header, payload } = createHeaderAndPayload(list, task.claims, { alg: 'ES256', x5c: task.chain });
  const signed = `${base64url(header)}.${base64url(payload)}`;
  const key = { key: createPrivateKey(task.key), dsaEncoding: 'ieee-p1363' };
  const proof = sign('sha256', Buffer.from(signed), key).toString('base64url');
  console.log(JSON.stringify({ token: `${signed}.${proof}` }));
} else {
  const list = getListFromStatusListJWT(task.token);
  console.log(JSON.stringify({ values: task.places.map((place) => list.getStatus(place)) }));
}
