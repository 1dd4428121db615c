// A mutual-TLS server of Node, as its documentation shows it: server.mjs DIR CLIENTS OPTIONS says "serving PORT".

import fs from "node:fs";
import https from "node:https";

const [, , dir, clients, more] = process.argv;
const file = (name) => (fs.existsSync(`${dir}/${name}`) ? fs.readFileSync(`${dir}/${name}`, "latin1") : undefined);
const END = "-----END X509 CRL-----\n";
const options = {
  cert: file("cert.pem"),
  key: file("key.pem"),
  ca: file("ca.pem"),
  // Of one text Node takes the first list only.
  crl: file("crl.pem")?.split(END).filter((text) => text.trim()).map((text) => text + END),
  requestCert: clients !== "none",
  rejectUnauthorized: clients === "required",
  ...JSON.parse(more),
};
const server = https.createServer(options, (_request, response) => response.end("ok"));
server.listen(0, "127.0.0.1", () => console.log(`serving ${server.address().port}`));
