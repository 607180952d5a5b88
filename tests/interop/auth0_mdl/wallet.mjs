// A wallet on @auth0/mdl: reads one JSON task on stdin, issues a document, answers a DeviceRequest, prints JSON.
//
// Task: deviceRequest, sessionTranscriptBytes (tag 24), eReaderKey (COSE_Key), each hex; issuerKey, deviceKey as private
// JWK; issuerCertificate as PEM; elements {namespace: {identifier: value}}; kind "signature" or "mac"; alg "ES256"...;
// validity {signed, validFrom, validUntil} as RFC 3339.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { DataItem, DeviceResponse, Document, MDoc } = createRequire(import.meta.url)('@auth0/mdl');

const task = JSON.parse(readFileSync(0, 'utf8'));
const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));

const request = new DataItem({ buffer: bytes(task.deviceRequest) }).data;
const inputDescriptors = request.get('docRequests').map((docRequest) => {
  const items = docRequest.get('itemsRequest').data;
  const fields = [];
  for (const [nameSpace, wanted] of items.get('nameSpaces')) {
    for (const [identifier, retain] of wanted) {
      fields.push({ path: [`$['${nameSpace}']['${identifier}']`], intent_to_retain: retain });
    }
  }
  return {
    id: items.get('docType'),
    format: { mso_mdoc: { alg: [task.alg] } },
    constraints: { limit_disclosure: 'required', fields },
  };
});

const { d: _, ...devicePublicKey } = task.deviceKey;
const document = new Document(inputDescriptors[0].id);
for (const [nameSpace, values] of Object.entries(task.elements)) {
  document.addIssuerNameSpace(nameSpace, values);
}
const dates = Object.fromEntries(Object.entries(task.validity).map(([name, text]) => [name, new Date(text)]));
const issued = await document
  .useDigestAlgorithm('SHA-256')
  .addValidityInfo(dates)
  .addDeviceKeyInfo({ deviceKey: devicePublicKey })
  .sign({ issuerPrivateKey: task.issuerKey, issuerCertificate: task.issuerCertificate, alg: task.issuerAlg });

const builder = DeviceResponse.from(new MDoc([issued]))
  .usingPresentationDefinition({ id: 'request', input_descriptors: inputDescriptors })
  .usingSessionTranscriptBytes(bytes(task.sessionTranscriptBytes));
if (task.kind === 'mac') {
  builder.authenticateWithMAC(task.deviceKey, bytes(task.eReaderKey), 'HS256');
} else {
  builder.authenticateWithSignature(task.deviceKey, task.alg);
}
const response = await builder.sign();
process.stdout.write(JSON.stringify({ deviceResponse: Buffer.from(response.encode()).toString('hex') }));
