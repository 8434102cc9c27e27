// A minimal Lambda runtime loop. The one that AWS ships does more.
import http from 'node:http';

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path, agent }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve({ headers: response.headers, text: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

export async function run(handler) {
  for (;;) {
    const { headers, text } = await call('GET', '/2018-06-01/runtime/invocation/next');
    const path = `/2018-06-01/runtime/invocation/${headers['lambda-runtime-aws-request-id']}`;
    try {
      await call('POST', `${path}/response`, JSON.stringify(await handler(JSON.parse(text))));
    } catch (error) {
      await call('POST', `${path}/error`, JSON.stringify({ errorType: error.name, errorMessage: error.message }));
    }
  }
}
