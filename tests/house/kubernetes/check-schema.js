// Reads a JSON list of Kubernetes objects from standard input and says what is wrong with each, by
// what Kubernetes publishes: its schema finds values of the wrong form and what is missing; the types
// that were made from it find keys that do not exist, which the schema lets pass (as an API server
// does, which drops them). Exit code 1: something is wrong, or an object's kind is not known.
//
//   node check-schema.js FOLDER <objects.json     FOLDER: see tests/support/fetch-kubernetes-schema
const fs = require('fs');
const path = require('path');

const folder = process.argv[2];
const load = require('module').createRequire(path.join(folder, 'package.json'));
const typescript = load('typescript');
const objects = JSON.parse(fs.readFileSync(0, 'utf8'));
let problems = 0;

function complain(object, what) {
  problems += 1;
  console.log(`${object.kind} ${object.metadata && object.metadata.name}: ${what}`);
}

function modelOf(object) {
  try {
    return load(`kubernetes-models/${object.apiVersion}`)[object.kind];
  } catch (error) {
    return undefined;
  }
}

function checkValues(object) {
  const Model = modelOf(object);
  if (Model === undefined) return complain(object, `no such kind in ${object.apiVersion}`);
  try {
    new Model(object).validate();
  } catch (error) {
    complain(object, error.message);
  }
}

// As a literal of the kind's type, in which a key that the type does not have is an error.
function checkKeys(object) {
  if (modelOf(object) === undefined) return;
  const file = path.join(folder, `check-${process.pid}.ts`);
  fs.writeFileSync(
      file,
      `import { I${object.kind} } from 'kubernetes-models/${object.apiVersion}';\n` +
          `export const object: I${object.kind} = ${JSON.stringify(object)};\n`);
  try {
    const program = typescript.createProgram([file], {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      types: [],
      module: typescript.ModuleKind.Node16,
      moduleResolution: typescript.ModuleResolutionKind.Node16,
    });
    for (const found of typescript.getPreEmitDiagnostics(program)) {
      complain(object, typescript.flattenDiagnosticMessageText(found.messageText, ' '));
    }
  } finally {
    fs.unlinkSync(file);
  }
}

for (const object of objects) {
  checkValues(object);
  checkKeys(object);
}
console.log(`${objects.length} objects, ${problems} problems`);
process.exit(problems === 0 && objects.length > 0 ? 0 : 1);
