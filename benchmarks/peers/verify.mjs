// @auth0/mdl as a verifier that stays: one JSON line in, one out.
//
// First line: {"roots": [PEM…]}. Then lines {"response": hex, "transcript": hex, "times": N}; each is answered with
// {"ns": [N numbers], "failed": […]}: the process's own clock for each verification, and the checks that failed in the last.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { Verifier } = createRequire(import.meta.url)('@auth0/mdl');
let verifier;
for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  if (task.roots) {
    verifier = new Verifier(task.roots);
    console.log('{"ready": true}');
    continue;
  }
  const response = new Uint8Array(Buffer.from(task.response, 'hex'));
  const encodedSessionTranscript = new Uint8Array(Buffer.from(task.transcript, 'hex'));
  const ns = [];
  let failed = [];
  for (let count = 0; count < task.times; count += 1) {
    failed = [];
    const onCheck = (check) => {
      if (check.status === 'FAILED') failed.push(check.check);
    };
    const started = process.hrtime.bigint();
    try {
      await verifier.verify(response, { encodedSessionTranscript, onCheck });
    } catch (error) {
      failed.push(String(error.message));
    }
    ns.push(Number(process.hrtime.bigint() - started));
  }
  console.log(JSON.stringify({ ns, failed }));
}
