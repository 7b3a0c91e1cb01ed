/**
 * Runs before everything else, as a classic script: sets the colours so that the page does not flash, and says what to do
 * where modules cannot run. Old syntax on purpose.
 */
(function () {
  var root = document.documentElement;
  var dark = matchMedia('(prefers-color-scheme: dark)');
  function colour() {
    var choice = root.dataset.choice;
    root.dataset.theme = choice === 'light' || choice === 'dark' ? choice : dark.matches ? 'dark' : 'light';
  }
  try {
    var kept = localStorage.getItem('inkling.theme');
    root.dataset.choice = kept === 'light' || kept === 'dark' ? kept : 'auto';
  } catch (_) {
    root.dataset.choice = 'auto';
  }
  colour();
  if (dark.addEventListener) dark.addEventListener('change', colour);
  // The page tells of a new choice by this event.
  addEventListener('inkling:theme', colour);

  /** @param {string} english @param {string} chinese @param {string} [command] */
  function notice(english, chinese, command) {
    function show() {
      if (document.getElementById('boot-notice')) return;
      var box = document.createElement('div');
      box.id = 'boot-notice';
      box.setAttribute('role', 'alert');
      [['en', english], ['zh-CN', chinese]].forEach(function (one) {
        var line = document.createElement('p');
        line.lang = one[0];
        line.textContent = one[1];
        box.appendChild(line);
      });
      if (command) {
        var code = document.createElement('code');
        code.textContent = command;
        box.appendChild(code);
      }
      document.body.insertBefore(box, document.body.firstChild);
      document.body.dataset.state = 'unsupported';
    }
    if (document.body) show();
    else document.addEventListener('DOMContentLoaded', show);
  }

  if (location.protocol === 'file:') {
    notice(
      'A browser does not let a page opened as a file load its own parts. Serve this folder instead: run this command in it, then open http://localhost:8000',
      '浏览器不允许以文件方式打开的网页加载自己的其他部分。请在此文件夹中运行下面的命令，然后打开 http://localhost:8000',
      'python3 -m http.server'
    );
  } else if (!('noModule' in HTMLScriptElement.prototype)) {
    notice(
      'This browser is too old for this page. Please use a current Chrome, Edge, Firefox or Safari.',
      '此浏览器版本过旧，请使用新版 Chrome、Edge、Firefox 或 Safari。'
    );
  } else {
    addEventListener(
      'error',
      function (event) {
        if (event.target instanceof HTMLScriptElement) {
          notice(
            'A part of this page could not be loaded. Reload it; if that does not help, its folder is incomplete or its server sends .js files with a wrong type.',
            '本页的一部分无法加载。请刷新；如果仍然不行，说明文件夹不完整，或服务器发送 .js 文件时类型有误。'
          );
        }
      },
      true
    );
  }
})();
