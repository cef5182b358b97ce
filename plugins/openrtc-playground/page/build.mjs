// Builds what is served: node build.mjs INTO. The same sources and versions give the same bytes.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const MOST_BYTES = 1024 * 1024;
const here = dirname(fileURLToPath(import.meta.url));
const into = process.argv[2];
process.chdir(here);
rmSync(into, { recursive: true, force: true });
mkdirSync(into, { recursive: true });

const options = { bundle: true, minify: true, target: 'es2022', charset: 'utf8', legalComments: 'none', logLevel: 'warning', metafile: true };
const { metafile } = await build({ ...options, entryPoints: ['src/main.js'], format: 'esm', outfile: join(into, 'page.js') });
await build({ ...options, entryPoints: ['src/page.css'], outfile: join(into, 'page.css') });
writeFileSync(join(into, 'index.html'), readFileSync('src/index.html'));

const locked = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages;
const bundled = [...new Set(Object.keys(metafile.inputs).map((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean))].sort();
const own = listBundledInside(bundled);
const packages = [...new Set([...bundled, ...own])].sort().map(describePackage);
writeFileSync(join(into, 'LICENSES.txt'), packages.map(({ name, version, license, text }) => `${name} ${version} (${license})\n\n${text.trim()}\n`).join(`\n${'='.repeat(80)}\n\n`));

const files = Object.fromEntries(readdirSync(into).sort().map((name) => [name, digest(readFileSync(join(into, name)))]));
const versions = {
  packages: Object.fromEntries(packages.map(({ name, version }) => [name, version])),
  built_with: { esbuild: locked['node_modules/esbuild'].version },
  sha256: files,
};
writeFileSync(join(into, 'versions.json'), `${JSON.stringify(versions, null, 2)}\n`);
const bytes = readdirSync(into).reduce((sum, name) => sum + readFileSync(join(into, name)).length, 0);
if (bytes > MOST_BYTES) throw new Error(`${bytes} bytes are more than the ${MOST_BYTES} that may be served`);
console.log(`${into}: ${bytes} bytes`);

/** livekit-client's own build has its dependencies inside. */
function listBundledInside(paths) {
  const seen = new Set();
  const visit = (path) => {
    const found = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    for (const name of Object.keys(found.dependencies ?? {})) {
      const at = [join(path, 'node_modules', name), join('node_modules', name)].find((one) => existsSync(one));
      if (at && !seen.has(at)) {
        seen.add(at);
        visit(at);
      }
    }
  };
  for (const path of paths) visit(path);
  return [...seen];
}

function describePackage(path) {
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const texts = readdirSync(path).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file)).sort();
  const text = texts.length ? texts.map((file) => readFileSync(join(path, file), 'utf8')).join('\n') : readFileSync(join('licences', `${name.replace('/', '+')}.txt`), 'utf8');
  return { name, version, license, text };
}

function digest(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
