// Plaintext over HTTP with node's own http module, as its documentation writes a server. One process. Fast
// options: the length is given, so that the body is not chunked, and the table is a Map.
'use strict';
const http = require('http');

const pages = new Map();
for (let i = 0; i < 20; ++i) {
  const number = String(i).padStart(2, '0');
  pages.set(`/page/${number}`, Buffer.from(`Hello, page ${number}`));
}
const missing = Buffer.from('no such page\n');

const server = http.createServer((request, response) => {
  const page = pages.get(request.url);
  const body = page ?? missing;
  response.writeHead(page ? 200 : 404,
    { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': body.length });
  response.end(body);
});
server.maxRequestsPerSocket = 0;
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
