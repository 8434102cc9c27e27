import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';

export const table = process.env.TABLE_NAME;
export const dynamodb = new DynamoDBClient({});

export const answer = (statusCode, body) => ({
  statusCode,
  headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
  body: JSON.stringify(body),
});

/** The caller's role in the workspace. */
export async function role(scope, user) {
  const key = { pk: { S: scope }, sk: { S: `MEMBER#${user}` } };
  const { Item } = await dynamodb.send(new GetItemCommand({ TableName: table, Key: key, ConsistentRead: true }));
  return Item?.role?.S;
}
