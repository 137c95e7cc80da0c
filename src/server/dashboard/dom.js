/**
 * Making elements. Values from the server only ever become text nodes and attributes: nothing is parsed as HTML.
 */

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, unknown>} Properties */

const svgNames = new Set([
  'svg',
  'path',
  'line',
  'rect',
  'circle',
  'g',
  'text',
  'title',
  'polyline',
])
const svgSpace = 'http://www.w3.org/2000/svg'

/**
 * An element. Properties that begin with `on` are listeners; true sets a bare attribute; null, undefined and false set
 * nothing.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Properties} [properties]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function h(name, properties = {}, ...children) {
  const element = document.createElement(name)
  put(element, properties, children)
  return element
}

/**
 * The same for SVG.
 *
 * @param {string} name
 * @param {Properties} [properties]
 * @param {...(Child | Child[])} children
 * @returns {SVGElement}
 */
export function s(name, properties = {}, ...children) {
  if (!svgNames.has(name)) throw new Error(`There is no such SVG element here: ${name}.`)
  const element = /** @type {SVGElement} */ (document.createElementNS(svgSpace, name))
  put(element, properties, children)
  return element
}

/**
 * @param {Element} element
 * @param {Properties} properties
 * @param {(Child | Child[])[]} children
 */
function put(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on') && typeof value === 'function') {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value))
    } else element.setAttribute(name, value === true ? '' : String(value))
  }
  append(element, ...children)
}

/**
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function append(element, ...children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue
    element.append(child instanceof Node ? child : String(child))
  }
}

/**
 * Puts these in the place of all children.
 *
 * @param {Element} element
 * @param {...(Child | Child[])} children
 */
export function fill(element, ...children) {
  element.replaceChildren()
  append(element, ...children)
}

/**
 * Changes the text only where it is another: a screen reader and a selection are left in peace.
 *
 * @param {Element} element
 * @param {string | number} text
 */
export function say(element, text) {
  if (element.textContent !== String(text)) element.textContent = String(text)
}

let lastId = 0

/** An id for a label and what it labels. @param {string} name */
export function uniqueId(name) {
  lastId += 1
  return `${name}-${lastId}`
}
