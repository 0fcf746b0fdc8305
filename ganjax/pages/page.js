"use strict";
(() => {
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const boxes = (name) => [...document.querySelectorAll(`input[name="${name}"]`)];
  const chosen = (name) => boxes(name).filter((box) => box.checked).map((box) => box.value);
  const model = (id) => window.Bokeh.documents[0].get_model_by_id(id);

  const draw = () => {
    const kinds = boxes("kind").length ? chosen("kind") : settings.kinds;
    const runs = boxes("run").length ? chosen("run") : null;
    for (const entry of settings.renderers) {
      const run = runs === null || runs.includes(String(entry.run));
      model(entry.id).visible = run && entry.kinds.some((kind) => kinds.includes(kind));
    }
  };
  for (const box of [...boxes("kind"), ...boxes("run")]) box.addEventListener("change", draw);

  for (const box of boxes("panel")) {
    box.addEventListener("change", () => {
      document.getElementById(`panel-${box.value}`).hidden = !box.checked;
    });
  }

  for (const select of document.querySelectorAll("select.map")) {
    select.addEventListener("change", () => {
      const source = model(settings.maps[select.dataset.run]);
      const { data } = source;
      source.data = {
        ...data,
        colour: data[`colour ${select.value}`],
        text: data[`text ${select.value}`],
      };
    });
  }

  for (const slider of document.querySelectorAll(".slider")) {
    const bar = slider.querySelector("input");
    const figures = [...slider.querySelectorAll("figure")];
    bar?.addEventListener("input", () => {
      figures.forEach((figure, i) => { figure.hidden = i !== Number(bar.value); });
    });
  }
})();
