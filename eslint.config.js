import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist', 'coverage', 'node_modules', 'bench/node_modules', 'bench/peers'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-non-null-assertion': 'error',
      // What a rejection passes on is what was caught, whatever it was.
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['**/*.js'], extends: [tseslint.configs.disableTypeChecked] },
  {
    // Names of the browser: the dashboard's own tsconfig.json knows them, and a test compiles it.
    files: ['src/server/dashboard/**'],
    rules: { 'no-undef': 'off' },
  },
  {
    files: ['src/cli/**', 'bench/**', 'examples/**', 'simulation/**', 'torture/**', 'fuzz/**'],
    rules: { 'no-console': 'off' },
  },
  {
    // Time, chance, files and sockets reach the engine through ports, so that a simulation runs the same code.
    files: ['src/mutation/**', 'src/journal/**', 'src/tier/**', 'src/flush/**', 'src/book/**'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['setTimeout', 'setInterval', 'setImmediate', 'performance', 'process'].map((name) => ({
          name,
          message: 'Use the Clock port.',
        })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Use the Clock port.' },
        { object: 'AbortSignal', property: 'timeout', message: 'Use the Clock port.' },
        { object: 'Math', property: 'random', message: 'Use the Random port.' },
      ],
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { group: ['node:fs', 'node:fs/*', 'node:net', 'node:timers*'], message: 'Use a port.' },
          ],
        },
      ],
    },
  },
)
