#!/usr/bin/env node
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
const require = createRequire(import.meta.url)
const args = process.argv.slice(2)
const solc = require('solc')
if (args.includes('--version')) { console.log('solc, the solidity compiler commandline interface\nVersion: ' + solc.version().replace('.Emscripten.clang','.Linux.g++')); process.exit(0) }
const input = readFileSync(0, 'utf8')
process.stdout.write(solc.compile(input))
