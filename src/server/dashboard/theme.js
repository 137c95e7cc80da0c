/** Light or dark, before anything is painted. Not a module, so that it runs first. */
;(function () {
  const chosen = localStorage.getItem('daybook-theme')
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
})()
