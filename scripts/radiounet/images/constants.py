"""Constants of nature; here since libraries that have them take longer to import than what needs them."""

LIGHT_M_S = 299_792_458.0
"""Speed of light, m/s."""
