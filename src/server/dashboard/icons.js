/** Icons, drawn with strokes on a grid of 20. They say nothing that is not said in words beside them. */

import { s } from './dom.js'

const paths = {
  overview: 'M2.500 11.500l4-4 3.500 3.500 7.500-7.500M12.500 3.500h5v5M2.500 16.500h15',
  pending: 'M10 5.500v5l3 2M17.500 10a7.500 7.500 0 1 1-15 0 7.500 7.500 0 0 1 15 0z',
  keys: 'M8.500 14.500a6 6 0 1 0 0-12 6 6 0 0 0 0 12zM13 13l4.500 4.500',
  letters: 'M2.500 5.500h15v10h-15zM2.500 6l7.500 6 7.500-6',
  operations:
    'M3 6h8M15 6h2M3 14h2M9 14h8M13 3.800a2.200 2.200 0 1 1 0 4.400 2.200 2.200 0 0 1 0-4.400zM7 11.800a2.200 2.200 0 1 1 0 4.400 2.200 2.200 0 0 1 0-4.400z',
  light:
    'M10 13.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM10 2v1.500M10 16.500V18M2 10h1.500M16.500 10H18M4.300 4.300l1.100 1.100M14.600 14.600l1.100 1.100M4.300 15.700l1.100-1.100M14.600 5.400l1.100-1.100',
  dark: 'M16.500 12A7 7 0 0 1 8 3.500a7 7 0 1 0 8.500 8.500z',
  auto: 'M10 2.500a7.500 7.500 0 1 0 0 15zM10 2.500a7.500 7.500 0 0 1 0 15',
  leave: 'M8 3.500H4v13h4M12.500 13.500l3.500-3.500-3.500-3.500M16 10H8',
  close: 'M5 5l10 10M15 5L5 15',
  warning: 'M10 3l7.500 13.500h-15zM10 8v4M10 14.300v.200',
  good: 'M4 10.500l4 4 8-9',
  refresh: 'M16 8A6.500 6.500 0 1 0 16.500 11.500M16.500 4v4h-4',
  down: 'M10 3v10M5.500 9l4.500 4.500L14.500 9M3.500 17h13',
}

/** @param {keyof typeof paths} name */
export function icon(name) {
  return s(
    'svg',
    { viewBox: '0 0 20 20', class: 'icon', 'aria-hidden': 'true', focusable: 'false' },
    s('path', { d: paths[name] }),
  )
}
