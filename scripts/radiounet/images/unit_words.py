"""Units as catalogues spell them."""

import re

import astropy.units as u

UNIT_WORDS = {
    **dict.fromkeys(("degree", "degrees", "deg", "degs"), "deg"),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "hms", "hourangle"), "hourangle"),
    **dict.fromkeys(("arcminute", "arcminutes", "arcmins", "arcmin", "amin"), "arcmin"),
    **dict.fromkeys(("arcsecond", "arcseconds", "arcsecs", "arcsec", "asec"), "arcsec"),
    **dict.fromkeys(("radian", "radians", "rad"), "rad"),
    **dict.fromkeys(
        ("msun", "msol", "m_sun", "m_sol", "msolar", "solmass", "solarmass", "sunmass"), "solMass"
    ),
    "mpc": "Mpc",
    "kpc": "kpc",
}
SEXAGESIMAL = {"h:m:s": u.hourangle, "d:m:s": u.deg, "dms": u.deg}


def unit_of(text: str) -> u.UnitBase:
    """Read a unit as catalogues spell it: ``10+14Msun``, ``10**14 solMass``, ``DEGREE``, ``h:m:s``.

    Raises
    ------
    ValueError
        It is none.
    """
    text = text.strip()
    if text.lower().strip('"') in SEXAGESIMAL:
        return SEXAGESIMAL[text.lower().strip('"')]
    words = re.sub(r"[A-Za-z_]+", lambda word: UNIT_WORDS.get(word[0].lower(), word[0]), text)
    try:
        return u.Unit(words)
    except TypeError as error:
        raise ValueError(str(error)) from None
