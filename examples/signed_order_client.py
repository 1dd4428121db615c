"""Updates an order at another company: signed by us, sealed for them, whatever stands between.

Run it: python signed_order_client.py https://localhost:8443
"""

import sys

import twoway

with twoway.Client(identity="orders", sign=True, seal_for="partner.pem") as client:
    response = client.post(f"{sys.argv[1]}/order/update", json={"order_id": 1223})
    print(response.json(), "signed by", response.extensions["twoway.signer"].common_name)
