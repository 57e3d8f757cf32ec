// What somebody would write who shows a domain of HSDS in h5web: the dataset and the domain come with the address.

import { App, buildBasicAuthHeader, createBasicFetcher, HsdsProvider } from '@h5web/app';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import '@h5web/app/styles.css';

const wanted = new URL(location.href).searchParams;
const fetcher = createBasicFetcher({ headers: buildBasicAuthHeader('admin', 'admin') });
const app = createElement(App, { initialPath: wanted.get('path'), propagateErrors: false });
createRoot(document.getElementById('root')).render(
  createElement(HsdsProvider, { url: '/hsds', filepath: wanted.get('domain'), fetcher }, app),
);
