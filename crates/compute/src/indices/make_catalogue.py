"""Makes catalogue.json from the Awesome Spectral Indices, as the package spyndex carries them.

    pip install --no-deps --target DIR spyndex && python make_catalogue.py DIR

Formulas, names, domains, bands, platforms and references are the catalogue's own (MIT licence,
LICENSE beside this file). Dates and contributors are left out; nothing is reworded.
"""

import json
import pathlib
import sys

package = pathlib.Path(sys.argv[1])
data = package / "spyndex" / "data"
version = next(package.glob("spyndex-*.dist-info")).name.removeprefix("spyndex-").removesuffix(".dist-info")
indices = json.loads((data / "spectral-indices-dict.json").read_text())["SpectralIndices"]
bands = json.loads((data / "bands.json").read_text())
constants = json.loads((data / "constants.json").read_text())

out = {
    "source": f"Awesome Spectral Indices, https://github.com/awesome-spectral-indices/awesome-spectral-indices, as of spyndex {version}; MIT licence, (c) 2021 David Montero Loaiza",
    "bands": {
        name: {
            "long_name": band["long_name"],
            "common_name": band["common_name"],
            "platforms": {
                key: {"band": on["band"], "wavelength": on["wavelength"]}
                for key, on in sorted(band["platforms"].items())
            },
        }
        for name, band in sorted(bands.items())
    },
    "constants": {
        name: {"description": constant["description"], "default": constant["default"]}
        for name, constant in sorted(constants.items())
    },
    "indices": {
        name: {
            key: index[key]
            for key in ("long_name", "application_domain", "formula", "bands", "platforms", "reference")
        }
        for name, index in sorted(indices.items())
    },
}

# One entry a line: changes show, and the file stays small.
lines = ["{", f'"source": {json.dumps(out["source"])},']
for part in ("bands", "constants", "indices"):
    lines.append(f'"{part}": {{')
    entries = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in out[part].items()]
    lines.append(",\n".join(entries))
    lines.append("}" if part == "indices" else "},")
lines.append("}")
(pathlib.Path(__file__).parent / "catalogue.json").write_text("\n".join(lines) + "\n")
