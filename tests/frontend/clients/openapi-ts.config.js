// Of @hey-api/openapi-ts. Node, unlike bundlers, imports files by their whole names.
export default { input: 'openapi.json', output: { path: 'hey', importFileExtension: '.js' } }
