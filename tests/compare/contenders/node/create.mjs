import { createCipheriv, hkdfSync, randomBytes, randomInt } from 'node:crypto';
import { TransactWriteItemsCommand } from '@aws-sdk/client-dynamodb';
import { GenerateDataKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { run } from './runtime.mjs';
import { answer, dynamodb, member, role, table } from './shared.mjs';

const kms = new KMSClient({});
const key = process.env.ENVELOPE_KEY_ARN;
const deployment = process.env.DEPLOYMENT;
const absent = 'attribute_not_exists(pk)';

/** Format 1 of docs/envelope.md. */
function seal(value, context, plain, encrypted) {
  const derived = Buffer.from(hkdfSync('sha512', plain, Buffer.alloc(0), 'pipeline-secrets/envelope/1', 64));
  const header = Buffer.from([1, 1]);
  const additional = [header];
  for (const name of Object.keys(context).sort()) {
    for (const part of [Buffer.from(name), Buffer.from(context[name])]) {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(part.length);
      additional.push(length, part);
    }
  }
  const text = Buffer.from(value);
  const padded = Buffer.alloc(Math.ceil(text.length / 256) * 256);
  text.copy(padded);
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', derived.subarray(0, 32), nonce).setAAD(Buffer.concat(additional));
  const body = Buffer.concat([cipher.update(padded), cipher.final(), cipher.getAuthTag()]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(encrypted.length);
  return Buffer.concat([header, length, encrypted, derived.subarray(32), nonce, body]);
}

await run(async (event) => {
  const user = event.requestContext.authorizer.lambda.userId;
  const workspace = event.queryStringParameters.workspaceId;
  const scope = `WS#${workspace}`;
  const partition = `SECRETS#${scope}`;
  const { name, value } = JSON.parse(event.body);
  if (!/^[A-Za-z_][A-Za-z0-9_]{1,99}$/.test(name) || typeof value !== 'string' || value === '' || value.includes('\0')) {
    return answer(400, { message: 'Invalid secret' });
  }
  if (!['owner', 'admin'].includes(await role(workspace, user))) {
    return answer(403, { message: 'Forbidden' });
  }
  const id = String(randomInt(2 ** 47));
  const context = { deployment, name, scope, secret: id, version: '1' };
  const data = await kms.send(
    new GenerateDataKeyCommand({ KeyId: key, KeySpec: 'AES_256', EncryptionContext: context }),
  );
  const envelope = seal(value, context, data.Plaintext, Buffer.from(data.CiphertextBlob));
  data.Plaintext.fill(0);
  const now = new Date().toISOString();
  const text = Buffer.byteLength(value);
  const put = (Item) => ({ Put: { TableName: table, Item, ConditionExpression: absent } });
  await dynamodb.send(new TransactWriteItemsCommand({
    TransactItems: [
      { ConditionCheck: {
        TableName: table,
        Key: member(workspace, user),
        ConditionExpression: '#role IN (:owner, :admin)',
        ExpressionAttributeNames: { '#role': 'role' },
        ExpressionAttributeValues: { ':owner': { S: 'owner' }, ':admin': { S: 'admin' } },
      } },
      put({
        pk: { S: partition }, sk: { S: `SECRET#${id}` }, name: { S: name }, version: { N: '1' }, createdAt: { S: now },
        createdBy: { N: user }, updatedAt: { S: now }, updatedBy: { N: user }, rawBytes: { N: String(text) },
        jsonBytes: { N: String(JSON.stringify(value).length) }, nextflowStore: { BOOL: true },
      }),
      put({ pk: { S: partition }, sk: { S: `VALUE#${id}` }, version: { N: '1' }, envelope: { B: envelope } }),
      put({ pk: { S: partition }, sk: { S: `NAME#${name.toLowerCase()}` }, secretId: { N: id } }),
      { Update: {
        TableName: table,
        Key: { pk: { S: partition }, sk: { S: 'COUNT' } },
        UpdateExpression: 'ADD #count :one',
        ConditionExpression: 'attribute_not_exists(#count) OR #count <= :room',
        ExpressionAttributeNames: { '#count': 'secretCount' },
        ExpressionAttributeValues: { ':one': { N: '1' }, ':room': { N: '999' } },
      } },
      put({
        pk: { S: `AUDIT#${scope}#${now.slice(0, 7)}` }, sk: { S: `${now}#${id}` }, at: { S: now }, id: { S: id },
        action: { S: 'CreatePipelineSecret' }, actor: { N: user },
        subjects: { L: [{ M: { owner: { S: scope }, id: { N: id }, name: { S: name }, version: { N: '1' } } }] },
      }),
    ],
  }));
  return answer(200, { secretId: Number(id) });
});
