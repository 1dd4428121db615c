"""2-way SSL in front of, or behind, anything that speaks TCP."""

from twoway.gateway.options import GatewayOptions as GatewayOptions
from twoway.gateway.running import Gateway as Gateway
from twoway.gateway.starting import run as run
