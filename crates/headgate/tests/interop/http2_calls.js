// HTTP/2 by Node: many streams of one session, uploads, HEAD, a cancelled stream. Argument: the gateway's address.

const assert = require("node:assert");
const http2 = require("node:http2");

const session = http2.connect(`http://${process.argv[2]}`);
session.on("error", (error) => { throw error; });

function ask(headers, body) {
    return new Promise((resolve, reject) => {
        const stream = session.request(headers);
        let status;
        const pieces = [];
        stream.on("response", (head) => { status = head[":status"]; });
        stream.on("data", (piece) => pieces.push(piece));
        stream.on("end", () => resolve({ status, body: Buffer.concat(pieces) }));
        stream.on("error", reject);
        stream.end(body);
    });
}

async function main() {
    const large = Buffer.alloc(3 << 20, "node");
    const echoed = await ask({ ":method": "POST", ":path": "/" }, large);
    assert.equal(echoed.status, 200);
    assert(echoed.body.equals(large));
    const head = await ask({ ":method": "HEAD", ":path": "/" });
    assert.deepEqual([head.status, head.body.length], [200, 0]);
    const cancelled = session.request({ ":method": "POST", ":path": "/" });
    cancelled.on("error", () => {});
    cancelled.write("half");
    cancelled.close(http2.constants.NGHTTP2_CANCEL);
    const many = Array.from({ length: 100 }, (_, index) => ask({ ":method": "PUT", ":path": `/${index}` }, String(index)));
    for (const [index, answer] of (await Promise.all(many)).entries()) {
        assert.equal(answer.body.toString(), String(index));
    }
    session.close();
}

main();
