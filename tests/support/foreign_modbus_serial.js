// `node foreign_modbus_serial.js MODULES SIZE HOLE_START HOLE_STOP`: the conformance map on npm's modbus-serial
// (installed in MODULES); prints its port. See foreign_map.py for what is served.
"use strict";
const { ServerTCP } = require(process.argv[2] + "/modbus-serial");
const [size, start, stop] = process.argv.slice(3).map(Number);

const held = new Map();
const set = new Map();

function exists(address) {
    if (address >= size || (address >= start && address < stop)) {
        throw Object.assign(new Error("no such address"), { modbusErrorCode: 2 });
    }
    return address;
}

const vector = {
    getHoldingRegister: (address) => held.get(exists(address)) ?? address,
    getInputRegister: (address) => 0xffff - exists(address),
    getCoil: (address) => set.get(exists(address)) ?? address % 3 === 0,
    getDiscreteInput: (address) => exists(address) % 5 === 0,
    setRegister: (address, value) => { held.set(exists(address), value); },
    setCoil: (address, value) => { set.set(exists(address), value); },
    readDeviceIdentification: () => ({ 0: "Independent", 1: "MBS", 2: "8.0", 5: "Peer" }),
};

const probe = require("net").createServer().listen(0, "127.0.0.1", () => {
    const port = probe.address().port; // modbus-serial takes 0 for 502
    probe.close(() => {
        const server = new ServerTCP(vector, { host: "127.0.0.1", port, unitID: 1 });
        server.on("initialized", () => console.log(port));
        server.on("serverError", (error) => console.error(error));
    });
});
process.stdin.on("end", () => process.exit(0)).resume();
