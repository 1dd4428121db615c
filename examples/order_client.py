"""Updates an order, as somebody who proves who they are: python order_client.py https://localhost:8443"""

import sys

import twoway

with twoway.Client(identity="orders") as client:
    headers = {"xyz-Client-Id": "abc-def-ghi-jkl", "xyz-Client-Secret": "from your vault"}
    response = client.post(f"{sys.argv[1]}/order/update", json={"order_id": 1223}, headers=headers)
    print(response.status_code, response.json())
